#ifndef TIDINGS_CLI_USER_VERBS_H
#define TIDINGS_CLI_USER_VERBS_H

/* The verbs of `tidings user`; each parses its own options and returns an enum cli_exit. */
int cli_user_add(int argc, char **argv);
int cli_user_list(int argc, char **argv);
int cli_user_remove(int argc, char **argv);

#endif
