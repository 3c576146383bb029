#ifndef TIDINGS_DATADIR_INTERNAL_RECORD_H
#define TIDINGS_DATADIR_INTERNAL_RECORD_H

#include "base/slice.h"

#include <jansson.h>

/*
 * What the server's own records say: those of __consumer_offsets and __transaction_state, and the
 * markers that end transactions. For people; the server has its own readers. Any bytes may come;
 * what cannot be read says so in a member "error". Text that is no UTF-8 is shown as bytes in
 * hexadecimal. Fresh objects, never NULL.
 */

/* {"kind": "offset-commit", "group": ..., "topic": ..., "partition": ..., "offset": ...},
 * {"kind": "group-metadata", ...} and so on; a null value is {"deleted": true}. */
json_t *internal_group_record(struct slice key, struct slice value);

/* {"kind": "transaction", "transactional_id": ..., "producer_id": ..., "state": ...} */
json_t *internal_txn_record(struct slice key, struct slice value);

/* A record of a control batch: {"kind": "marker", "type": "commit", "coordinator_epoch": 3} */
json_t *internal_control_record(struct slice key, struct slice value);

/* The one of these that belongs to the topic; NULL when it is nobody's but the users'. */
json_t *internal_record(const char *topic, struct slice key, struct slice value);

#endif
