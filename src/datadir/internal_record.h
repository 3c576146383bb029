#ifndef TIDINGS_DATADIR_INTERNAL_RECORD_H
#define TIDINGS_DATADIR_INTERNAL_RECORD_H

#include "base/slice.h"

#include <jansson.h>

/*
 * What the server's own records say: those of the topics in kafka.schema, and the markers that end
 * transactions. For people; the server has its own readers. Any bytes may come; what cannot be read
 * says so in a member "error". Text that is no UTF-8 is shown as bytes in hexadecimal. Fresh
 * objects.
 */

/* {"kind": "offset-commit", "group": ..., "topic": ..., "partition": ..., "offset": ...} and so on,
 * as kafka.schema tells; a null value is {"deleted": true}. A key of a version that is not known is
 * {"kind": "unknown", "key_version": ...}. NULL for the users' topics. */
json_t *internal_record(const char *topic, struct slice key, struct slice value);

/* A record of a control batch: {"kind": "marker", "type": "commit", "coordinator_epoch": 3} */
json_t *internal_control_record(struct slice key, struct slice value);

#endif
