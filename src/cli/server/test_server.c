#include "cli/server/test_server.h"

#include "base/mem.h"
#include "client/connection/connection.h"
#include "datadir/control_client.h"

#include <stdlib.h>
#include <string.h>

struct test_server_options test_server_default(void)
{
    return (struct test_server_options){.bus = bus_options_default()};
}

struct option_set test_server_option_set(struct test_server_options *options)
{
    static const struct option_spec specs[] = {
        {'d', "data", "DIR", OPTION_TEXT, offsetof(struct test_server_options, data_dir), 0, 0,
         "the server on this data directory, as its ready line names it\n(default: the one at "
         "--bootstrap-server, which is asked)"},
    };
    return (struct option_set){"The server", specs, sizeof specs / sizeof specs[0], options};
}

/* Where the server at the bootstrap address keeps its data. Returns the exit code. */
static int ask_place(const struct test_server_options *options, char **dir)
{
    struct connection *connection = NULL;
    struct connection_settings settings = bus_settings(&options->bus);
    struct client_error error;
    settings.client_id = "tidings-chaos"; /* which no fault is for (broker/chaos.h) */
    if (connection_open(&settings, &connection, &error) != CLIENT_OK) {
        return bus_fail_open(&error);
    }
    int code = bus_reach(connection);
    if (code == EXIT_OK && admin_broker_setting(connection, "log.dirs", dir, &error) != CLIENT_OK) {
        code = bus_fail(&error, "cannot ask where its data is");
    }
    connection_close(connection);
    if (code != EXIT_OK) {
        return code;
    }
    return *dir != NULL ? EXIT_OK
                        : cli_fail(EXIT_FAILED, "name it with --data DIR",
                                   "this bus does not tell where its data is");
}

static int fail(enum err err, const char *dir, const struct reason *reason)
{
    static const char elsewhere[] =
        "it is asked on its own machine, as its user (in a container: docker exec); a relative "
        "directory is named with --data";
    switch (err) {
    case ERR_CLOSED:
        return cli_fail(EXIT_UNREACHABLE, "start one with: tidings serve --memory", "%s",
                        reason->text);
    case ERR_TIMEOUT:
        return cli_fail(EXIT_TIMED_OUT, NULL, "%s", reason->text);
    case ERR_NOT_FOUND:
        return cli_fail(EXIT_NOT_FOUND, elsewhere,
                        "the bus keeps its data in %s, which is not here", dir);
    default:
        return cli_fail(EXIT_FAILED, NULL, "%s", reason->text);
    }
}

int test_server_ask(const struct test_server_options *options, const char *line, json_t **answer)
{
    char *dir = options->data_dir != NULL ? mem_strdup(options->data_dir) : NULL;
    int code = dir != NULL ? EXIT_OK : ask_place(options, &dir);
    if (code != EXIT_OK) {
        return code;
    }
    char *request = mem_sprintf("%s\n", line);
    struct reason reason;
    /* What is due when a clock is moved may take its time. */
    struct control_wait wait = {.timeout_ms = options->bus.timeout_ms + 60000};
    enum err err = control_client_ask_once(dir, request, &wait, answer, &reason);
    code = err == ERR_NONE ? EXIT_OK : fail(err, dir, &reason);
    if (err == ERR_NONE) {
        json_object_del(*answer, "ok");
    }
    free(request);
    free(dir);
    return code;
}
