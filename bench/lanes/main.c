#include "lanes.h"

#include "base/clock.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const char help[] =
    "bench-lanes - services with key lanes, beside a plain loop\n"
    "\n"
    "  bench-lanes MODE --bootstrap ADDRESS:PORT --topic NAME --group NAME [OPTIONS]\n"
    "\n"
    "  fill      publishes --events over --keys keys\n"
    "  loop      handles --events one after another, by librdkafka alone\n"
    "  lanes     handles --events by libtidings\n"
    "  turn      the same, and publishes an event for each to TOPIC-out\n"
    "  turn-once the same, in transactions with the progress (exactly_once)\n"
    "  steady    publishes --rate a second for --seconds and handles them by libtidings;\n"
    "            --never of the keys fail always\n"
    "  twins     the same, and beside it a second service gets the same events on TOPIC-calm,\n"
    "            where none fails\n"
    "\n"
    "  --events N        default 100000\n"
    "  --keys N          default 10000\n"
    "  --event-bytes N   of an event's value, default 100\n"
    "  --work-us N       a handler sleeps so long, default 0\n"
    "  --workers N       of libtidings, default 16\n"
    "  --never N         default 0\n"
    "  --rate N          default 2000\n"
    "  --seconds N       default 10\n"
    "  --server-pid N    passed over\n"
    "\n"
    "The topic exists. Prints one JSON object.\n";

static const struct option known[] = {
    {"bootstrap", required_argument, NULL, 'b'},
    {"topic", required_argument, NULL, 't'},
    {"group", required_argument, NULL, 'g'},
    {"events", required_argument, NULL, 'e'},
    {"keys", required_argument, NULL, 'k'},
    {"event-bytes", required_argument, NULL, 'B'},
    {"work-us", required_argument, NULL, 'w'},
    {"workers", required_argument, NULL, 'W'},
    {"never", required_argument, NULL, 'n'},
    {"rate", required_argument, NULL, 'r'},
    {"seconds", required_argument, NULL, 's'},
    {"server-pid", required_argument, NULL, 'P'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

_Noreturn void fail(const char *what, const char *why)
{
    fprintf(stderr, "bench-lanes: %s: %s\n", what, why);
    exit(1);
}

void work(int microseconds)
{
    if (microseconds > 0) {
        usleep((useconds_t)microseconds);
    }
}

static void set_number(struct options *options, int letter, int value)
{
    int *const places[] = {
        ['e'] = &options->events,  ['k'] = &options->keys,    ['B'] = &options->event_bytes,
        ['w'] = &options->work_us, ['W'] = &options->workers, ['n'] = &options->never,
        ['r'] = &options->rate,    ['s'] = &options->seconds};
    if (value < 0) {
        fail("options", "a number below 0");
    }
    if (letter != 'P') {
        *places[letter] = value;
    }
}

static struct options parse(int argc, char **argv)
{
    struct options options = {.events = 100000,
                              .keys = 10000,
                              .event_bytes = 100,
                              .workers = 16,
                              .rate = 2000,
                              .seconds = 10};
    for (int letter; (letter = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (letter) {
        case 'b':
            options.bootstrap = optarg;
            break;
        case 't':
            options.topic = optarg;
            break;
        case 'g':
            options.group = optarg;
            break;
        case 'h':
            fputs(help, stdout);
            exit(0);
        case '?':
            exit(2);
        default:
            set_number(&options, letter, atoi(optarg));
        }
    }
    options.mode = optind < argc ? argv[optind] : "";
    bool has_group = strcmp(options.mode, "fill") == 0 || options.group != NULL;
    if (options.bootstrap == NULL || options.topic == NULL || !has_group || options.keys == 0 ||
        options.rate == 0) {
        fputs(help, stderr);
        exit(2);
    }
    return options;
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static json_t *tell(const struct options *options, struct span span)
{
    double seconds = (double)(span.ended_ns - span.began_ns) / 1e9;
    return json_pack("{s:i,s:f,s:f}", "events", options->events, "seconds", seconds,
                     "events_per_second", options->events / seconds);
}

int main(int argc, char **argv)
{
    struct options options = parse(argc, argv);
    json_t *result = NULL;
    if (strcmp(options.mode, "fill") == 0) {
        fill(&options);
        result = json_pack("{s:i}", "events", options.events);
    } else if (strcmp(options.mode, "loop") == 0) {
        result = tell(&options, run_loop(&options));
    } else if (strcmp(options.mode, "lanes") == 0) {
        result = tell(&options, run_service(&options));
    } else if (strncmp(options.mode, "turn", 4) == 0) {
        result = tell(&options, run_turning(&options, strcmp(options.mode, "turn-once") == 0));
    } else if (strcmp(options.mode, "steady") == 0 || strcmp(options.mode, "twins") == 0) {
        result = run_steady(&options, strcmp(options.mode, "twins") == 0);
    } else {
        fail(options.mode, "no such mode");
    }
    json_object_set_new(result, "cpu_seconds", json_real(cpu_seconds()));
    json_dumpf(result, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(result);
    return 0;
}
