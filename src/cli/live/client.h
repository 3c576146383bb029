#ifndef TIDINGS_CLI_CLIENT_H
#define TIDINGS_CLI_CLIENT_H

/* The subcommands of `tidings client`: each parses its own options and returns an enum cli_exit. */
int cli_client_list(int argc, char **argv);

#endif
