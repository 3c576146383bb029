#ifndef TIDINGS_WIRE_RECORD_H
#define TIDINGS_WIRE_RECORD_H

#include "wire/reader.h"

/*
 * The records of the server's own topics as data: how each is decoded, and how each field of what
 * comes out is shown (`topic`, `as` and `names` in kafka.schema). For tools that treat them all
 * alike; the server includes the header of a record instead.
 */
enum wire_type {
    WIRE_BOOL,
    WIRE_INT8,
    WIRE_INT16,
    WIRE_UINT16,
    WIRE_INT32,
    WIRE_UINT32,
    WIRE_INT64,
    WIRE_FLOAT64,
    WIRE_UUID,
    WIRE_STRING,
    WIRE_BYTES,
    WIRE_STRUCT,
};

struct wire_field {
    const char *shown; /* its name; ".": it stands for its struct */
    enum wire_type type;
    size_t at;                      /* its offset in the struct */
    size_t count_at;                /* of an array: that of its int32_t count; else 0 */
    size_t bytes;                   /* of one value */
    const struct wire_shape *shape; /* STRUCT */
    bool by_pointer;                /* one struct that may be null */
    bool left_out;                  /* while it is null or has its default */
    int64_t default_value;          /* of a number */
    const char *const *names;       /* of values from 0 on; NULL: none */
    int names_count;
};

/* A decoded struct; fields that are never shown are not in it. */
struct wire_shape {
    const struct wire_field *fields;
    int count;
    size_t bytes;
};

/* A key or a value: its version as INT16, then the message. */
struct wire_record_part {
    const char *name; /* "offset_commit_key" */
    int16_t lowest_version;
    int16_t highest_version;
    enum err (*decode)(struct wire_reader *reader, int16_t version, void *out);
    const struct wire_shape *shape;
};

/* The version at the front of a key tells which of its topic's kinds it is. */
struct wire_record_kind {
    const char *topic; /* "__consumer_offsets" */
    const char *kind;  /* "offset-commit" */
    struct wire_record_part key;
    struct wire_record_part value;
};

extern const struct wire_record_kind wire_record_kinds[];
extern const int wire_record_kinds_count;

#endif
