#ifndef TIDINGS_API_OFFSET_TOPIC_H
#define TIDINGS_API_OFFSET_TOPIC_H

#include "api/api.h"
#include "group/requests.h"

/* A topic whose offsets a request commits. */
struct offset_topic {
    struct topic *topic; /* a reference; NULL: there is none */
    struct slice name;   /* of the request or in its memory; empty: an unknown id names it */
    struct wire_uuid id; /* as asked; zero: it is named */
    enum err err;        /* why none of its partitions can be committed */
};

/*
 * Looks the topic up by its id when id is given, else by its name, and asks whether the client may
 * read it. Always followed by offset_topic_release. err: ERR_UNKNOWN_TOPIC_ID, ERR_TOPIC_DENIED, or
 * ERR_NOT_FOUND for an unknown name.
 */
void offset_topic_find(struct api_request *request, struct slice name, const struct wire_uuid *id,
                       struct offset_topic *out);

/* The commit for one of its partitions, with topic, partition and err set: ERR_NOT_FOUND when there
 * is no such partition. */
struct group_offset_commit offset_topic_commit(const struct offset_topic *topic, int32_t partition);

/* Counts for the client that it commits so many of the topic's offsets for the group; nothing when
 * none of them can be. */
void offset_topic_count(struct api_request *request, struct slice group,
                        const struct offset_topic *topic, int32_t partitions);

/* Gives its reference back. */
void offset_topic_release(struct offset_topic *topic);

#endif
