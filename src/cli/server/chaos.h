#ifndef TIDINGS_CLI_CHAOS_H
#define TIDINGS_CLI_CHAOS_H

#include <jansson.h>

/* What the verbs of `tidings chaos` share. */

/* Prints faults as the server tells them, as a table. */
void chaos_print(const json_t *faults);
/* The same of one that was just made, in one line. */
void chaos_print_one(const json_t *fault);

/* The verbs: each parses its own options and returns an exit code. */
int chaos_command_error(int argc, char **argv);
int chaos_command_delay(int argc, char **argv);
int chaos_command_drop(int argc, char **argv);
int chaos_command_lose(int argc, char **argv);
int chaos_command_pause(int argc, char **argv);
int chaos_command_full(int argc, char **argv);
int chaos_command_expire(int argc, char **argv);
int chaos_command_rebalance(int argc, char **argv);
int chaos_command_fence(int argc, char **argv);
int chaos_command_list(int argc, char **argv);
int chaos_command_clear(int argc, char **argv);

#endif
