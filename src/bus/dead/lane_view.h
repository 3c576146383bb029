#ifndef TIDINGS_BUS_DEAD_LANE_VIEW_H
#define TIDINGS_BUS_DEAD_LANE_VIEW_H

#include "base/vec.h"
#include "bus/event/where.h"
#include "client/connection/connection.h"
#include "client/lane/lane_record.h"

/*
 * The open lanes of a group with key lanes as lanes.<group> tells them (docs/formats.md): parked,
 * held by somebody's word, set aside, or failing with attempts that count. What a service has in
 * memory only is not there: a lane that waits for its back-off, and how many events of the source
 * stand behind its head. It works on any Kafka cluster, whether the service runs or not. One
 * thread.
 */

/* An event that is set aside. */
struct lane_seen_event {
    int64_t offset;   /* in its source */
    int64_t position; /* in the lane's partition of lanes.<group> */
    int64_t time_ms;  /* when it was set aside; -1: not known */
    size_t bytes;
};

/* Why a lane is as it is, for people. */
struct lane_seen_reason {
    char *what, *text;
    int64_t time_ms;
};

struct lane_seen {
    char *topic;
    int32_t partition;
    struct lane_name name; /* borrows `key` */
    struct buf key;
    struct lane_note note;            /* zeroed, with offset -1: there is none */
    int64_t noted_ms;                 /* when; -1: never */
    struct lane_seen_reason failure;  /* of the head: class and message; text NULL: not known */
    struct lane_seen_reason holder;   /* who holds it, and why; the same */
    int64_t head;                     /* its offset; -1: it has no event */
    int64_t events, bytes;            /* set aside */
    VEC(struct lane_seen_event) list; /* of them, in order, when they are wanted */
};

struct lane_view_settings {
    const struct connection_settings *connection;
    const char *group;
    bool wants_events; /* lane_seen.list */
    /* Now and then: so many of so many records are read. NULL: nobody is told. */
    bool (*progress)(void *context, int64_t done, int64_t total);
    void *context;
};

struct lane_view {
    char topic[LANE_TOPIC_SIZE]; /* lanes.<group> */
    VEC(struct lane_seen) lanes; /* by topic, partition and head */
    int64_t open_words;          /* that no owner has answered */
};

/* Reads all of it. CLIENT_NOT_FOUND: the group has no lanes. Memory: about 300 bytes a record that
 * is not erased. Free with lane_view_deinit in any case. */
CHECKED enum client_status lane_view_load(struct lane_view *view,
                                          const struct lane_view_settings *settings,
                                          struct client_error *error);
void lane_view_deinit(struct lane_view *view);

/* "parked", "held", "parked, held", "failing" or "set aside"; static. */
const char *lane_seen_state(const struct lane_seen *lane);

/* --- as fields of a condition (bus/where.h) --- */

/* The fields: state, key, topic, partition, head, attempts, behind, bytes, first, noted, reason (of
 * the failure), who (holds it). */
const struct where_field *lane_fields(void);

/* where_get; context is a struct lane_seen. */
struct where_value lane_field_get(const void *context, size_t field, const char *header);

#endif
