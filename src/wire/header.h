#ifndef TIDINGS_WIRE_HEADER_H
#define TIDINGS_WIRE_HEADER_H

#include "wire/api_key.h"
#include "wire/reader.h"
#include "wire/writer.h"

/*
 * What stands before the body of a request (protocol guide, "Headers"; KIP-482). Flexible requests
 * have header version 2, others version 1; both carry the client id as a plain nullable string.
 * Version 0 belongs to ControlledShutdown 0 alone, which the schema lacks.
 */
struct wire_request_header {
    int16_t api_key;
    int16_t api_version;
    int32_t correlation_id;
    struct slice client_id; /* may be null; borrows the request */
};

/*
 * Reads the header and leaves the reader at the body.
 * ERR_UNSUPPORTED: the schema lacks the key or the version; key, version and correlation id are set
 * and are all that was read, so that an ApiVersions of any version can be answered.
 * Other errors: as of struct wire_reader.
 */
CHECKED enum err wire_request_header_decode(struct wire_reader *reader,
                                            struct wire_request_header *out);

/* The client's side of it. ERR_UNSUPPORTED sticks in the writer when the schema lacks the API. */
void wire_request_header_encode(struct wire_writer *writer, const struct wire_request_header *in);

/*
 * The header of a response to a request of this key and version: the correlation id, and empty
 * tagged fields when the version is flexible, except for ApiVersions, whose response header is
 * never flexible (KIP-511).
 */
void wire_response_header_encode(struct wire_writer *writer, int16_t api_key, int16_t api_version,
                                 int32_t correlation_id);

/* Reads such a header. Errors as of struct wire_reader. */
CHECKED enum err wire_response_header_decode(struct wire_reader *reader, int16_t api_key,
                                             int16_t api_version, int32_t *correlation_id);

#endif
