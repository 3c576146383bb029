#include "cli/live/client.h"

#include "cli/base/cli.h"

static const struct cli_command commands[] = {
    {"list", "who is connected, with what software, and what each does", cli_client_list},
    {NULL, NULL, NULL},
};

static const char about[] = "Shows the clients of the bus, as it sees them.";

static const char epilogue[] = "Each command explains itself: tidings client COMMAND --help\n";

int cli_client(int argc, char **argv)
{
    return cli_dispatch(commands, "tidings client", about, epilogue, argc, argv);
}
