#ifndef TIDINGS_CLI_GROUP_STORY_H
#define TIDINGS_CLI_GROUP_STORY_H

#include "cli/group/group_situation.h"

#include <jansson.h>

/* Prints what is known of the situation, a line each, on standard output; nothing of what is not.
 */
void group_story_print(const struct group_situation *situation,
                       const struct group_progress *progress, const char *group);

/* Adds the same to a JSON object, with null for what is not known. */
void group_story_json(const struct group_situation *situation, json_t *json);

#endif
