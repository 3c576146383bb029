#ifndef TIDINGS_BATCH_RECORD_H
#define TIDINGS_BATCH_RECORD_H

#include "base/varint.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Decoding one record of message format v2 (documentation "Record"), shared by the check of what
 * producers send and by the iterator; private to this room. Inline with a fast path for varints of
 * one and two bytes, because every small event passes here once on its way in.
 */
struct record_fields {
    int64_t timestamp_delta;
    int32_t offset_delta;
    int32_t header_count;
    int32_t key_size;   /* -1: null */
    int32_t value_size; /* -1: null */
    const uint8_t *key;
    const uint8_t *value;
    const uint8_t *headers;
    const uint8_t *end; /* of the record */
};

/* The general case of the two readers below; the position after the value, or NULL. */
const uint8_t *record_varint_slow(const uint8_t *at, const uint8_t *end, int32_t *value);
const uint8_t *record_varlong_slow(const uint8_t *at, const uint8_t *end, int64_t *value);

/* A VARINT, a VARLONG at `at`: the position after it, or NULL when it does not end before `end`: */

static inline const uint8_t *record_varint(const uint8_t *at, const uint8_t *end, int32_t *value)
{
    if (at < end && at[0] < 0x80) {
        *value = (int32_t)(at[0] >> 1) ^ -(int32_t)(at[0] & 1);
        return at + 1;
    }
    if (end - at >= 2 && at[1] < 0x80) {
        uint32_t raw = (at[0] & 0x7fu) | (uint32_t)at[1] << 7;
        *value = (int32_t)(raw >> 1) ^ -(int32_t)(raw & 1);
        return at + 2;
    }
    return record_varint_slow(at, end, value);
}

static inline const uint8_t *record_varlong(const uint8_t *at, const uint8_t *end, int64_t *value)
{
    if (end - at >= 2 && (at[0] < 0x80 || at[1] < 0x80)) {
        int32_t narrow;
        at = record_varint(at, end, &narrow);
        *value = narrow;
        return at;
    }
    return record_varlong_slow(at, end, value);
}

/* A length of -1 (null) or more that fits before end; the position of the bytes, or NULL. */
static inline const uint8_t *record_length(const uint8_t *at, const uint8_t *end, int32_t *size)
{
    at = record_varint(at, end, size);
    return at != NULL && *size >= -1 && *size <= end - at ? at : NULL;
}

/* True when exactly header_count well-formed headers fill the bytes from at to end. */
bool record_headers_check(const uint8_t *at, const uint8_t *end, int32_t header_count);

/*
 * Decodes the record at *at and moves *at past it. NULL, or what is wrong in words that follow
 * "record N: " ; *at is then unspecified.
 */
static inline const char *record_decode(const uint8_t **at, const uint8_t *end,
                                        struct record_fields *fields)
{
    int32_t size;
    const uint8_t *next = record_length(*at, end, &size);
    if (next == NULL || size < 1) {
        return "its length does not fit the batch";
    }
    end = next + size;
    fields->end = end;
    *at = end;
    next = record_varlong(next + 1, end, &fields->timestamp_delta); /* +1: unused attributes */
    if (next == NULL) {
        return "its timestamp delta is not a varlong";
    }
    next = record_varint(next, end, &fields->offset_delta);
    if (next == NULL) {
        return "its offset delta is not a varint";
    }
    fields->key = record_length(next, end, &fields->key_size);
    if (fields->key == NULL) {
        return "its key length does not fit the record";
    }
    next = fields->key + (fields->key_size > 0 ? fields->key_size : 0);
    fields->value = record_length(next, end, &fields->value_size);
    if (fields->value == NULL) {
        return "its value length does not fit the record";
    }
    next = fields->value + (fields->value_size > 0 ? fields->value_size : 0);
    fields->headers = record_varint(next, end, &fields->header_count);
    if (fields->headers == NULL || fields->header_count < 0) {
        return "its header count is not a count";
    }
    if (fields->header_count == 0 && fields->headers == end) {
        return NULL;
    }
    return record_headers_check(fields->headers, end, fields->header_count)
               ? NULL
               : "its headers do not end where the record does";
}

#endif
