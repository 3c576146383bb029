#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

/* campaign-client MODE NAME=VALUE ...: see struct options. */

static volatile sig_atomic_t stopping;

static void on_signal(int signal_number)
{
    (void)signal_number;
    stopping = 1;
}

bool client_stopping(void)
{
    return stopping != 0;
}

int64_t client_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void client_log(struct client *client, const char *format, ...)
{
    char line[1024];
    int size = snprintf(line, sizeof line, "%lld %s ", (long long)client_now_ns(),
                        client->options.process);
    va_list arguments;
    va_start(arguments, format);
    size += vsnprintf(line + size, sizeof line - (size_t)size, format, arguments);
    va_end(arguments);
    if ((size_t)size + 1 >= sizeof line) {
        client_say(client, "a history line is too long");
        abort();
    }
    line[size++] = '\n';
    if (write(client->history_fd, line, (size_t)size) != size) {
        client_say(client, "the history cannot be written: %s", strerror(errno));
        abort();
    }
}

void client_say(const struct client *client, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s: ", client->options.process);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

void client_count(struct client *client, int64_t more)
{
    atomic_fetch_add(client->progress, more);
}

uint64_t client_random(struct client *client, uint64_t bound)
{
    uint64_t z = client->random += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return (z ^ (z >> 31)) % bound;
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char why[256];
    if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK) {
        fprintf(stderr, "%s\n", why);
        exit(2);
    }
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct client *client = opaque;
    char *value = message->_private;
    (void)rk;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        client_log(client, "acked %s %lld", value, (long long)message->offset);
        client_count(client, 1);
    } else {
        bool sure = rd_kafka_message_status(message) == RD_KAFKA_MSG_STATUS_NOT_PERSISTED;
        client_log(client, "%s %s %s", sure ? "failed" : "unknown", value,
                   rd_kafka_err2name(message->err));
    }
    free(value);
}

rd_kafka_t *client_handle(struct client *client, rd_kafka_type_t type, const char *const *settings)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", client->options.bootstrap);
    set(conf, "client.id", client->options.process);
    /* The server is away and slow on purpose: find it again soon. */
    set(conf, "reconnect.backoff.ms", "50");
    set(conf, "reconnect.backoff.max.ms", "500");
    set(conf, "socket.timeout.ms", "10000");
    set(conf, "topic.metadata.refresh.interval.ms", "5000");
    for (; *settings != NULL; settings += 2) {
        set(conf, settings[0], settings[1]);
    }
    rd_kafka_conf_set_opaque(conf, client);
    if (type == RD_KAFKA_PRODUCER) {
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    } else {
        rd_kafka_conf_set_rebalance_cb(conf, consumer_on_rebalance);
    }
    rd_kafka_t *handle = rd_kafka_new(type, conf, why, sizeof why);
    if (handle == NULL) {
        client_say(client, "%s", why);
        exit(2);
    }
    return handle;
}

static void take_topics(struct options *options, char *list)
{
    char *rest = NULL;
    for (char *at = strtok_r(list, ",", &rest); at != NULL && options->topic_count < TOPICS_MAX;
         at = strtok_r(NULL, ",", &rest)) {
        options->topics[options->topic_count++] = at;
    }
}

static void take_option(struct options *options, char *argument)
{
    struct {
        const char *name;
        const char **text;
        int *number;
    } known[] = {
        {"bootstrap", &options->bootstrap, NULL},
        {"process", &options->process, NULL},
        {"history", &options->history, NULL},
        {"progress", &options->progress, NULL},
        {"slot", NULL, &options->slot},
        {"partitions", NULL, &options->partitions},
        {"keys", NULL, &options->keys},
        {"group", &options->group, NULL},
        {"transactional_id", &options->transactional_id, NULL},
        {"isolation", &options->isolation, NULL},
        {"output", &options->output, NULL},
        {"rate", NULL, &options->rate},
        {"batch", NULL, &options->batch},
        {"abort_percent", NULL, &options->abort_percent},
        {"transaction_ms", NULL, &options->transaction_ms},
        {"slow_ms", NULL, &options->slow_ms},
        {"end_s", NULL, &options->end_s},
    };
    char *value = strchr(argument, '=');
    if (value != NULL) {
        *value++ = '\0';
        if (strcmp(argument, "topics") == 0) {
            take_topics(options, value);
            return;
        }
        if (strcmp(argument, "seed") == 0) {
            options->seed = atoll(value);
            return;
        }
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
            if (strcmp(argument, known[i].name) == 0 && known[i].text != NULL) {
                *known[i].text = value;
                return;
            }
            if (strcmp(argument, known[i].name) == 0) {
                *known[i].number = atoi(value);
                return;
            }
        }
    }
    fprintf(stderr, "no such option: %s\n", argument);
    exit(2);
}

static void open_files(struct client *client)
{
    const struct options *options = &client->options;
    client->history_fd = open(options->history, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    int fd = open(options->progress, O_RDWR | O_CLOEXEC);
    void *mapped =
        fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (client->history_fd < 0 || mapped == MAP_FAILED) {
        client_say(client, "cannot open %s or %s: %s", options->history, options->progress,
                   strerror(errno));
        exit(2);
    }
    close(fd);
    client->progress = (_Atomic int64_t *)mapped + options->slot;
}

static int (*find_mode(const char *name))(struct client *)
{
    static const struct {
        const char *name;
        int (*run)(struct client *);
    } modes[] = {{"produce", run_produce}, {"transact", run_transact},
                 {"consume", run_consume}, {"transform", run_transform},
                 {"read", run_read},       {"committed", run_committed}};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (strcmp(name, modes[i].name) == 0) {
            return modes[i].run;
        }
    }
    fprintf(stderr, "no such mode: %s\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    struct client client = {.options = {.bootstrap = "",
                                        .process = "client",
                                        .history = "client.history",
                                        .progress = "",
                                        .partitions = 1,
                                        .keys = 32,
                                        .group = "group",
                                        .isolation = "read_committed",
                                        .rate = 500,
                                        .batch = 20,
                                        .abort_percent = 20,
                                        .transaction_ms = 20000}};
    if (argc < 2) {
        fprintf(stderr, "usage: campaign-client MODE NAME=VALUE ...\n");
        return 2;
    }
    int (*run)(struct client *) = find_mode(argv[1]);
    for (int i = 2; i < argc; i++) {
        take_option(&client.options, argv[i]);
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* an ended campaign leaves no clients behind */
    signal(SIGTERM, on_signal);
    signal(SIGPIPE, SIG_IGN);
    client.random = (uint64_t)client.options.seed;
    open_files(&client);
    int code = run(&client);
    close(client.history_fd);
    return code;
}
