#ifndef TIDINGS_DATADIR_CONSUMER_RECORD_H
#define TIDINGS_DATADIR_CONSUMER_RECORD_H

#include "group/change.h"

#include <jansson.h>

/* Adds the fields of a record of a KIP-848 group to the JSON object; nothing for other kinds. */
void consumer_record_set(const struct group_change *change, json_t *json);

#endif
