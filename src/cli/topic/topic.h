#ifndef TIDINGS_CLI_TOPIC_H
#define TIDINGS_CLI_TOPIC_H

/* The verbs of `tidings topic`; each parses its options and returns an enum cli_exit. */
int cli_topic_create(int argc, char **argv);
int cli_topic_list(int argc, char **argv);
int cli_topic_describe(int argc, char **argv);
int cli_topic_alter(int argc, char **argv);
int cli_topic_delete(int argc, char **argv);
int cli_topic_settings(int argc, char **argv);

#endif
