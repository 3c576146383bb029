#ifndef TIDINGS_CLI_MAP_ASK_H
#define TIDINGS_CLI_MAP_ASK_H

#include "cli/bus/http_client.h"

/* What `tidings map` and `tidings who` do with an answer that is a text: the bus layer makes every
 * form of the map, so that a page shows the same bytes. */

/*
 * Prints the text of {"format", "text"} on standard output, each line escaped as all output is, or
 * writes it to the file as it is. JSON is any other answer. Frees the answer. Returns the exit
 * code.
 */
int map_ask_print(json_t *answer, bool is_text, const char *file);

#endif
