#ifndef TIDINGS_CLI_TOPIC_CHOICE_H
#define TIDINGS_CLI_TOPIC_CHOICE_H

#include "base/pattern.h"
#include "cli/bus/bus.h"

/*
 * The topics that are chosen by name, and those that expressions ("^...") find: RE2's syntax as in
 * base/pattern.h, for a part of the name, so that ^orders\. means all that begin so, as Kafka's
 * clients understand it. The bus's own topics are found by none. One thread.
 */
struct topic_expression {
    const char *text;
    struct pattern *pattern;
};

struct topic_choice {
    struct text_list names; /* owned: given, and found so far, each once */
    VEC(struct topic_expression) expressions;
};

/* An expression that is none is told: EXIT_USAGE. Deinit in any case. Borrows the texts. */
int topic_choice_init(struct topic_choice *choice, const struct text_list *given);
void topic_choice_deinit(struct topic_choice *choice);

/*
 * Asks the bus for its topics, and adds those that the expressions find to the names and with all
 * their partitions (offsets -1), or the one `number` when it is not below 0, to *added. Of topics
 * that are among the names already nothing is added, nor of those that have no partitions yet.
 */
CHECKED enum client_status topic_choice_look(struct topic_choice *choice,
                                             struct connection *connection, int64_t number,
                                             struct topic_partitions *added,
                                             struct client_error *error);

/* Whether every expression has found something; EXIT_NOT_FOUND (told) when not. */
int topic_choice_check(const struct topic_choice *choice);

#endif
