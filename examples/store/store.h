#ifndef STORE_H
#define STORE_H

/* What the store's programs share: options, start and stop. */

#include <tidings.h>

#include <stdbool.h>
#include <stddef.h>

enum { EXIT_USAGE = 2 };

/* One "--name VALUE" (or "--name" alone when argument is NULL: *value becomes "1"). */
struct store_option {
    const char *name;
    const char *argument;
    const char *help;
    const char **value; /* holds the default before, the given value after */
};

/* Prints "program: message" to standard error and ends the process with EXIT_USAGE. */
void store_usage_error(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Prints "program: message" to standard error. */
void store_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Reads the options (list ends with name NULL). --help prints about and the list, and ends the
 * process with 0; anything unknown is a usage error.
 */
void store_options(int argc, char **argv, const char *about, const struct store_option *options);

/* A whole number within bounds, else a usage error that names the option. */
long store_number(const char *option, const char *text, long least, long most);

/* Options every service has. */
struct store_common {
    const char *bootstrap_servers;
    const char *instance;
    const char *database;
    const char *attempts; /* NULL: the library's */
    const char *slow_ms;  /* the faults that the demo asks for */
    const char *poison;
};
enum { STORE_COMMON_OPTIONS_COUNT = 6 };
#define STORE_COMMON_OPTIONS(common)                                                               \
    {"bootstrap-server", "HOST:PORT", "the bus [127.0.0.1:9092]", &(common)->bootstrap_servers},   \
        {"instance", "NAME", "name of this process among those that share the work [none]",        \
         &(common)->instance},                                                                     \
        {"db", "FILE", "where it keeps its data; or postgresql://... [NAME.db]",                   \
         &(common)->database},                                                                     \
        {"attempts", "N", "how often an event is tried before it is given up [10]",                \
         &(common)->attempts},                                                                     \
        {"slow-ms", "N", "for trying out: each event takes so long [0]", &(common)->slow_ms},      \
    {                                                                                              \
        "poison", "CODE", "for trying out: orders with this article fail [none]",                  \
            &(common)->poison                                                                      \
    }

/* Makes the service `name`, of so many workers; SIGTERM and SIGINT stop it. NULL after a
 * complaint. */
struct tidings *store_service_new(const char *name, const struct store_common *common, int workers);

/* NULL is fine. */
void store_service_free(struct tidings *service);

/* Stops are noticed by this flag too, for processes without tidings_run. */
bool store_stopping(void);

#endif
