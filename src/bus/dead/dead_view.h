#ifndef TIDINGS_BUS_DEAD_DEAD_VIEW_H
#define TIDINGS_BUS_DEAD_DEAD_VIEW_H

#include "base/vec.h"
#include "bus/dead/dead_index.h"
#include "client/connection/connection.h"

/*
 * The dead letters of a group with their states, read from a bus (any Kafka cluster): once to put
 * together what is known of each event (dead_index.h bounds the memory), and once more for each
 * dead_view_each, which has the letters' content. Nothing is written. One thread.
 */

/* A letter as it is given out: the newest of its event. */
struct dead_seen {
    struct dead_subject subject;
    const struct dead_case *its;
    enum dead_state state;
    struct dead_event event;
    bool closes_lane; /* what is behind it in its lane waits for it, as far as can be known */
};

struct dead_view_settings {
    const struct connection_settings *connection;
    const char *group;
    const struct dead_place *wanted; /* only the events of these letters; NULL: of all */
    size_t wanted_count;
    size_t cases_max; /* events; 0: DEAD_CASES_MAX */
    /* Now and then while a topic is read; false ends it. NULL: nobody is told. */
    bool (*progress)(void *context, const char *topic, int64_t done, int64_t total);
    void *context;
};

struct dead_view {
    struct dead_view_settings settings;
    char dlq_topic[LANE_TOPIC_SIZE], state_topic[LANE_TOPIC_SIZE], lanes_topic[LANE_TOPIC_SIZE];
    struct dead_index *index;
    bool has_lanes;                 /* there is a topic lanes.<group> */
    bool is_stopped;                /* by progress, or by dead_view_each's callback */
    bool is_too_many;               /* more than cases_max events: the others are left out */
    VEC(struct dead_place) missing; /* wanted letters that are not there */
};

/* Prepares a view of which only dead_view_facts is asked. Nothing is read. */
void dead_view_init(struct dead_view *view, const struct dead_view_settings *settings);

/* Reads what is known. CLIENT_NOT_FOUND: there is no topic dlq.<group>. Free the view in any case
 * with dead_view_deinit. */
CHECKED enum client_status dead_view_load(struct dead_view *view,
                                          const struct dead_view_settings *settings,
                                          struct client_error *error);

/* Frees what it holds. */
void dead_view_deinit(struct dead_view *view);

/* The events of which `where` holds (NULL: of all), each with its newest letter, of one partition
 * in order. What is given is borrowed; false ends it. */
CHECKED enum client_status dead_view_each(struct dead_view *view, const struct where *where,
                                          bool (*each)(void *context, const struct dead_seen *seen),
                                          void *context, struct client_error *error);

/* All letters of the wanted events, edited forms too, or all of all. */
CHECKED enum client_status dead_view_letters(struct dead_view *view,
                                             bool (*each)(void *context,
                                                          const struct dead_seen *seen),
                                             void *context, struct client_error *error);

/* What people said (dead_fact.h), in the order in which they did; none if there is no such topic.
 * A key may come several times: the last one counts. */
CHECKED enum client_status dead_view_facts(struct dead_view *view,
                                           bool (*each)(void *context,
                                                        const struct dead_fact *fact),
                                           void *context, struct client_error *error);

#endif
