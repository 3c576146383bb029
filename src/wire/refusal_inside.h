#ifndef TIDINGS_WIRE_REFUSAL_INSIDE_H
#define TIDINGS_WIRE_REFUSAL_INSIDE_H

#include "wire/refusal.h"

/* What the generated refusals.c and refusal.c share. */
struct refusal {
    struct wire_reader *reader; /* whose arena holds the answer's arrays */
    int16_t version;
    int16_t error_code;
    int32_t told; /* how many times the error is in the answer */
};

/* Writes the answer when it has the error at least once. */
struct refusal_of_api {
    int16_t key;
    void (*refuse)(struct refusal *refusal, struct wire_reader *reader, struct wire_writer *writer);
};

/* By rising key. */
extern const struct refusal_of_api wire_refusals[];
extern const int wire_refusals_count;

/* The error, counted. */
static inline int16_t refusal_tell(struct refusal *refusal)
{
    refusal->told++;
    return refusal->error_code;
}

/* Room for as many as were asked for, none for null or over the arena's limit. */
static inline void *refusal_array(struct refusal *refusal, int32_t asked, size_t size,
                                  int32_t *count)
{
    void *array = asked > 0 ? wire_reader_alloc(refusal->reader, (size_t)asked, size) : NULL;
    *count = array != NULL ? asked : 0;
    return array;
}

#endif
