#ifndef TIDINGS_BUS_STORY_STORY_JSON_H
#define TIDINGS_BUS_STORY_STORY_JSON_H

#include "bus/story/story.h"

#include <jansson.h>

/* The story as JSON (docs/formats.md, "The story of an event"). Texts of others are UTF-8, other
 * bytes as utf8_escape has them. No payloads. */
json_t *story_to_json(const struct story *story);

#endif
