#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A signal handler has no parameter for it, so the service to stop is kept here. */
static struct tidings *_Atomic running_service;
static volatile sig_atomic_t stop_asked;

static void complain(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));

static void complain(const char *format, va_list arguments)
{
    fprintf(stderr, "%s: ", program_invocation_short_name);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

void store_complain(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain(format, arguments);
    va_end(arguments);
}

void store_usage_error(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain(format, arguments);
    va_end(arguments);
    fprintf(stderr, "See %s --help\n", program_invocation_short_name);
    exit(EXIT_USAGE);
}

static void print_help(const char *about, const struct store_option *options)
{
    printf("Usage: %s [options]\n\n%s\n\nOptions:\n", program_invocation_short_name, about);
    for (const struct store_option *o = options; o->name != NULL; o++) {
        char left[64];
        snprintf(left, sizeof left, "--%s %s", o->name, o->argument ? o->argument : "");
        printf("  %-30s %s\n", left, o->help);
    }
    printf("  %-30s %s\n", "--help", "print this");
}

/* Started without descriptors 0, 1 or 2, the next socket would take their number, and what is
 * printed would go there. The wrong way round, so that using them fails as if closed. */
static void hold_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0) {
            (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
        }
    }
}

void store_options(int argc, char **argv, const char *about, const struct store_option *options)
{
    hold_standard_descriptors();
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help(about, options);
            exit(EXIT_SUCCESS);
        }
        if (strncmp(argv[i], "--", 2) != 0) {
            store_usage_error("%s is no option", argv[i]);
        }
        const char *name = argv[i] + 2, *equals = strchr(name, '=');
        size_t size = equals != NULL ? (size_t)(equals - name) : strlen(name);
        const struct store_option *found = options;
        while (found->name != NULL &&
               (strlen(found->name) != size || strncmp(found->name, name, size) != 0)) {
            found++;
        }
        if (found->name == NULL) {
            store_usage_error("unknown option %s", argv[i]);
        }
        if (found->argument == NULL) {
            *found->value = "1";
        } else if (equals != NULL) {
            *found->value = equals + 1;
        } else if (++i < argc) {
            *found->value = argv[i];
        } else {
            store_usage_error("--%s needs a value: %s", found->name, found->argument);
        }
    }
}

long store_number(const char *option, const char *text, long least, long most)
{
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < least || number > most) {
        store_usage_error("--%s %s: must be a whole number from %ld to %ld", option, text, least,
                          most);
    }
    return number;
}

static void on_stop_signal(int signal)
{
    stop_asked = 1;
    struct tidings *service = running_service;
    if (service != NULL) {
        tidings_stop(service);
    }
}

bool store_stopping(void)
{
    return stop_asked != 0;
}

struct tidings *store_service_new(const char *name, const struct store_common *common, int workers)
{
    struct tidings_options options = {
        .name = name,
        .bootstrap_servers = common->bootstrap_servers,
        .instance = common->instance,
        .attempts =
            common->attempts != NULL ? (int)store_number("attempts", common->attempts, 1, 1000) : 0,
        .workers = workers,
        .commit_interval_ms = 100, /* little comes again after a kill */
    };
    struct tidings *service;
    struct tidings_error error;
    if (tidings_new(&options, &service, &error) != TIDINGS_OK) {
        store_complain("%s", error.text);
        return NULL;
    }
    running_service = service;
    struct sigaction stop = {.sa_handler = on_stop_signal};
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
    signal(SIGPIPE, SIG_IGN);
    return service;
}

void store_service_free(struct tidings *service)
{
    running_service = NULL;
    tidings_free(service);
}
