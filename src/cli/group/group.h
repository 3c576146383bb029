#ifndef TIDINGS_CLI_GROUP_H
#define TIDINGS_CLI_GROUP_H

#include "cli/bus/bus.h"

/* The verbs of `tidings group`; each parses its options and returns an enum cli_exit. */
int group_command_list(int argc, char **argv);
int group_command_describe(int argc, char **argv);
int group_command_reset(int argc, char **argv);
int group_command_delete(int argc, char **argv);

#endif
