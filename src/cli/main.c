#include "base/file.h"
#include "cli/base/cli.h"

#include <stdio.h>
#include <string.h>

static const struct cli_command commands[] = {
    {"serve", "run the bus", cli_serve},
    {"bus", "run what stands beside a bus, for another Kafka cluster", cli_bus},
    {"topic", "create, list, describe, alter and delete topics", cli_topic},
    {"publish", "publish events from arguments, standard input or a file", cli_publish},
    {"subscribe", "read events, from any place in a topic, alone or in a group", cli_subscribe},
    {"group", "list, describe, reset and delete consumer groups", cli_group},
    {"lanes", "list, retry, skip, hold and release the lanes of a group", cli_lanes},
    {"deadletter", "list, show, redrive, discard and edit what a group gave up", cli_deadletter},
    {"why", "tell the story of an event: who published, handled and caused it", cli_why},
    {"find", "find events by headers and conditions, in the whole log", cli_find},
    {"map", "show who publishes, consumes and causes what, as observed", cli_map},
    {"who", "show who publishes and consumes one type of event", cli_who},
    {"spec", "describe what goes over the bus as AsyncAPI, and check changes", cli_spec},
    {"user", "make, show and remove the users who log in by a password", cli_user},
    {"acl", "show, make, remove and explain the rules of who may do what", cli_acl},
    {"client", "list who is connected and what each does", cli_client},
    {"expect", "for tests: wait for events that fulfil a condition", cli_expect},
    {"chaos", "for tests: make a bus fail as real ones do", cli_chaos},
    {"clock", "for tests: read and move the clock of a bus", cli_clock},
    {"bench", "measure how fast a bus takes and gives events", cli_bench},
    {"top", "watch topics and groups at work: rates, lag, members, errors", cli_top},
    {"status", "tell what a bus is at, from any machine", cli_status},
    {"check", "read a stopped data directory and tell what is wrong with it", cli_check},
    {"dump", "print batches and records as they lie on disk", cli_dump},
    {"backup", "copy a bus, running or stopped, into a directory", cli_backup},
    {"restore", "make a data directory from a backup", cli_restore},
    {"completion", "print a script that completes commands and names in a shell", cli_completion},
    {"version", "print the version", cli_version},
    {NULL, NULL, NULL},
};

static const char about[] = "Tidings is an event bus: services publish events and go on, other "
                            "services consume\nthem when they can. It speaks the Kafka protocol.";

static const char epilogue[] =
    "Each command explains itself: tidings COMMAND --help\n"
    "\n"
    "Examples:\n"
    "  tidings serve                               the bus itself, on 127.0.0.1:9092\n"
    "  tidings topic create orders --partitions 3\n"
    "  tidings publish orders --key 42 'an order'\n"
    "  tidings subscribe orders                    from the start, then follow; Ctrl-C ends\n"
    "  tidings subscribe orders --group shipping   as a member of a group, which shares the work\n"
    "  tidings group describe shipping             who reads, how far, how much is left\n"
    "\n"
    "The bus is at --bootstrap-server HOST:PORT, else at $TIDINGS_BOOTSTRAP_SERVER, else at\n"
    "127.0.0.1:9092.\n"
    "\n"
    "Exit codes:\n"
    "  0  done\n"
    "  1  failed: the bus refused, or an event was not acknowledged\n"
    "  2  the command line is wrong; nothing was done\n"
    "  3  the bus cannot be reached\n"
    "  4  not found: no such topic, partition or group\n"
    "  5  conflict: it exists already, or is in use (a group, a data directory, a port)\n"
    "  6  no answer within --timeout\n";

int main(int argc, char **argv)
{
    file_hold_standard();
    if (argc > 1 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0 ||
                     strcmp(argv[1], "-v") == 0)) {
        char name[] = "version";
        char *arguments[] = {name, NULL};
        return cli_version(1, arguments);
    }
    return cli_dispatch(commands, "tidings", about, epilogue, argc, argv);
}
