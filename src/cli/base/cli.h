#ifndef TIDINGS_CLI_CLI_H
#define TIDINGS_CLI_CLI_H

#include <stddef.h>

/*
 * What every subcommand shares: exit codes, the table of commands, and how failures are told.
 * The command is one process with one main thread; nothing here is for other threads.
 */

/* What the process ends with. Scripts rely on them; `tidings help` lists them. */
enum cli_exit {
    EXIT_OK = 0,
    EXIT_FAILED = 1,      /* the bus refused, or an event was not acknowledged */
    EXIT_USAGE = 2,       /* the command line is wrong; nothing was done */
    EXIT_UNREACHABLE = 3, /* nobody answers at the bootstrap address */
    EXIT_NOT_FOUND = 4,   /* no such topic, partition or group */
    EXIT_CONFLICT = 5,    /* it exists already, or is in use */
    EXIT_TIMED_OUT = 6,   /* no answer within --timeout */
};

/* One row of a table of commands; a row with name NULL ends the table. argv[0] is the name. */
struct cli_command {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv);
};

/* The subcommands: each parses its own options and returns an enum cli_exit. */
int cli_serve(int argc, char **argv);
int cli_bench(int argc, char **argv);
int cli_bus(int argc, char **argv);
int cli_topic(int argc, char **argv);
int cli_publish(int argc, char **argv);
int cli_subscribe(int argc, char **argv);
int cli_group(int argc, char **argv);
int cli_expect(int argc, char **argv);
int cli_deadletter(int argc, char **argv);
int cli_lanes(int argc, char **argv);
int cli_why(int argc, char **argv);
int cli_find(int argc, char **argv);
int cli_acl(int argc, char **argv);
int cli_user(int argc, char **argv);
int cli_client(int argc, char **argv);
int cli_chaos(int argc, char **argv);
int cli_clock(int argc, char **argv);
int cli_map(int argc, char **argv);
int cli_who(int argc, char **argv);
int cli_spec(int argc, char **argv);
int cli_top(int argc, char **argv);
int cli_status(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_backup(int argc, char **argv);
int cli_restore(int argc, char **argv);
int cli_dump(int argc, char **argv);
int cli_completion(int argc, char **argv);
int cli_version(int argc, char **argv);

/*
 * Runs the command of `table` that argv[1] names. `prefix` is what stands before the name
 * ("tidings", "tidings topic"); `about` heads and `epilogue` ends the help text, which --help, -h
 * and the word `help` print (`help NAME` prints that command's). A few usual words stand for a
 * name (ls for list, rm for delete). An unknown name is EXIT_USAGE with the nearest one as a hint;
 * a missing one is EXIT_USAGE with the help text on standard error.
 */
int cli_dispatch(const struct cli_command *table, const char *prefix, const char *about,
                 const char *epilogue, int argc, char **argv);

/*
 * Tells the person what failed on standard error ("tidings: ..."), then, when hint is not NULL,
 * what to do next on a line of its own. Returns code: `return cli_fail(EXIT_FAILED, NULL, "...")`.
 */
int cli_fail(enum cli_exit code, const char *hint, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Something worth knowing that stops nothing, on standard error. */
void cli_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
