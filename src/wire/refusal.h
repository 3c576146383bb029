#ifndef TIDINGS_WIRE_REFUSAL_H
#define TIDINGS_WIRE_REFUSAL_H

#include "wire/reader.h"
#include "wire/writer.h"

/*
 * Writes the body of an answer in the version of the request that gives error_code to all that the
 * request asks for: at the top where the answer has a place for it, else to each thing asked for.
 * `reader` stands at the body of the request, and is read only for the latter.
 *
 * False, and nothing is written: the schema lacks the API or the version, its answer has no error
 * for what was asked (Produce of no partitions), the body is malformed, or it is too large for the
 * reader's arena. Any thread.
 */
CHECKED bool wire_refuse(struct wire_writer *writer, int16_t key, int16_t version,
                         struct wire_reader *reader, int16_t error_code);

#endif
