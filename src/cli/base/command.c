#include "cli/base/cli.h"

#include "cli/base/output.h"
#include "cli/base/suggest.h"

#include <stdio.h>
#include <string.h>

enum { COMMANDS_MAX = 64 };

/* Words of other commands and habits, for the name that is used here. */
static const char *usual_name(const char *name)
{
    static const char *const words[][2] = {
        {"ls", "list"},        {"rm", "delete"},
        {"remove", "delete"},  {"show", "describe"},
        {"new", "create"},     {"produce", "publish"},
        {"pub", "publish"},    {"consume", "subscribe"},
        {"sub", "subscribe"},  {"topics", "topic"},
        {"groups", "group"},   {"lane", "lanes"},
        {"dlq", "deadletter"}, {"deadletters", "deadletter"},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(words[i][0], name) == 0) {
            return words[i][1];
        }
    }
    return name;
}

static const struct cli_command *command_find(const struct cli_command *table, const char *given)
{
    const char *names[] = {given, usual_name(given)};
    for (size_t i = 0; i < 2; i++) {
        for (const struct cli_command *at = table; at->name != NULL; at++) {
            if (strcmp(at->name, names[i]) == 0) {
                return at;
            }
        }
    }
    return NULL;
}

static void print_commands(FILE *to, const struct cli_command *table, const char *prefix,
                           const char *about, const char *epilogue)
{
    fprintf(to, "Usage: %s COMMAND [ARGUMENTS] [OPTIONS]\n\n%s\n\nCommands:\n", prefix, about);
    for (; table->name != NULL; table++) {
        fprintf(to, "  %-10s %s\n", table->name, table->summary);
    }
    fprintf(to, "\n%s", epilogue);
}

static int fail_unknown(const struct cli_command *table, const char *prefix, const char *name)
{
    const char *names[COMMANDS_MAX];
    size_t count = 0;
    for (; table->name != NULL && count < COMMANDS_MAX; table++) {
        names[count++] = table->name;
    }
    const char *near = suggest_nearest(name, names, count);
    char hint[256];
    if (near != NULL) {
        snprintf(hint, sizeof hint, "did you mean '%s %s'? All commands: %s help", prefix, near,
                 prefix);
    } else {
        snprintf(hint, sizeof hint, "see all commands with: %s help", prefix);
    }
    return cli_fail(EXIT_USAGE, hint, "'%s' is no command of '%s'", name, prefix);
}

static int dispatch_help(const struct cli_command *table, const char *prefix, const char *about,
                         const char *epilogue, int argc, char **argv)
{
    if (argc < 3) {
        print_commands(stdout, table, prefix, about, epilogue);
        return output_finish(EXIT_OK);
    }
    const struct cli_command *command = command_find(table, argv[2]);
    if (command == NULL) {
        return fail_unknown(table, prefix, argv[2]);
    }
    /* `help topic create` becomes `topic create --help`. */
    char help[] = "--help";
    char *rest[] = {argv[2], argc > 3 ? argv[3] : help, argc > 3 ? help : NULL, NULL};
    return command->run(argc > 3 ? 3 : 2, rest);
}

int cli_dispatch(const struct cli_command *table, const char *prefix, const char *about,
                 const char *epilogue, int argc, char **argv)
{
    if (argc < 2) {
        print_commands(stderr, table, prefix, about, epilogue);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
        strcmp(argv[1], "-h") == 0) {
        return dispatch_help(table, prefix, about, epilogue, argc, argv);
    }
    const struct cli_command *command = command_find(table, argv[1]);
    if (command == NULL) {
        return fail_unknown(table, prefix, argv[1]);
    }
    return command->run(argc - 1, argv + 1);
}
