#ifndef TIDINGS_DATADIR_CONSUMER_RECORD_H
#define TIDINGS_DATADIR_CONSUMER_RECORD_H

#include "base/err.h"
#include "wire/reader.h"

#include <jansson.h>

/*
 * Reads the value of a record of a KIP-848 group and adds its fields to the JSON object. The
 * version of the key says what it is: 3 to 8 or 16, no other.
 * Errors: what the decoder says; then nothing was added.
 */
CHECKED enum err consumer_record_read(int16_t key_version, struct wire_reader *reader,
                                      json_t *json);

#endif
