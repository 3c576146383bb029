#ifndef TIDINGS_BUS_MAP_MAP_FACTS_H
#define TIDINGS_BUS_MAP_MAP_FACTS_H

#include "base/buf.h"
#include "base/slice.h"
#include "base/vec.h"
#include "bus/map/map_left_out.h"

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

/*
 * What was observed, as facts of which the flow map is made (bus/map_graph.h): each with counts,
 * first and last time, rate and usual gap. Kept as it was seen, so that a rule that renames or
 * merges services can be changed at any time. Pure: time is a parameter.
 *
 * At most MAP_FACTS_MAX facts, with names of MAP_NAME_BYTES at most (longer ones are cut): some
 * 5 MiB. When it is full, the fact that has been quiet for longest makes room if nothing was heard
 * of it for a day; else what is new is left out, and counted (about). One thread at a time.
 */
enum { MAP_FACTS_MAX = 8192, MAP_NAME_BYTES = 255, MAP_GAP_FLOOR_MS = 5000 };

enum map_fact_kind {
    MAP_PUBLISHES, /* who, topic, type: null where it is not known of which */
    MAP_CONSUMES,  /* who, topic */
    MAP_JOINED,    /* who: a client and a group */
    MAP_CARRIES,   /* topic, type: null for events that have none */
    MAP_CAUSES,    /* type, other; other null: how many events of the type could have caused one */
    MAP_FACT_KINDS
};

/* What a service can be known by, first the one that counts most. */
enum map_name { MAP_PRINCIPAL, MAP_SOURCE, MAP_GROUP, MAP_CLIENT, MAP_SOFTWARE, MAP_NAMES };

struct map_fact_key {
    enum map_fact_kind kind;
    struct slice names[MAP_NAMES]; /* null: not known */
    struct slice topic, type, other;
};

struct map_fact {
    UT_hash_handle hh;
    struct buf bytes_of_key;
    struct map_fact_key is; /* borrows from the key */

    /* What flowed. */
    uint64_t events, bytes;
    int64_t first_ms, last_ms; /* of what was seen, wall clock; 0: nothing yet */
    int64_t gap_ms;            /* usual time between two events; 0: not known */
    double rate, byte_rate;    /* a second, lately */

    /* Who is there. -1: that is not known. */
    int32_t connections, members;
    int64_t left_ms;            /* since when nobody is; 0: somebody is, or it is not known */
    int64_t left_by_session_ms; /* the same by the group alone */
    int64_t session_timeout_ms;

    /* Of a group's topic. lag -1: not known. */
    int64_t lag;
    int64_t oldest_ms;   /* time of the oldest event that waits; 0: none, or not known */
    int64_t progress_ms; /* when it last committed something */
    int64_t asked_ms;    /* its group was last asked */
    uint64_t errors;     /* events given up */
    int64_t error_ms;    /* the last one's time; 0: none */

    /* Of causes. */
    double took_ms;   /* median */
    bool is_inferred; /* by the trace alone */

    /* Since the last map_facts_tick. */
    uint64_t new_events, new_bytes;
    int64_t active_ms; /* when a tick last found something new */

    /* A sample of totals: see map_fact_sample. */
    uint64_t sum_events, sum_bytes, base_events, base_bytes;
    int32_t sum_connections;
    int64_t sum_first_ms, sum_last_ms, sum_left_ms;

    int64_t id; /* in the history; 0: not there yet */
    uint64_t kept_events, kept_bytes;
    bool is_added; /* in the transaction that is open */
};

struct map_facts {
    struct map_fact *by_key;
    int64_t began_ms;             /* since when somebody watches */
    int64_t sampled_ms;           /* clients were last looked at; 0: never */
    struct map_left_out left_out; /* for which there was no place since it is full */
    int64_t full_until_ms;        /* no fact can make room before; 0: not known */
    bool has_observer;            /* connections are seen */
    int64_t groups_ms;            /* groups were last asked; 0: never */
    char groups_error[160];       /* why they could not be; "" */
};

/* No facts, watched since now_ms; _deinit frees them all. */
void map_facts_init(struct map_facts *facts, int64_t now_ms);
void map_facts_deinit(struct map_facts *facts);

/* The fact of this key, made if need be. NULL: there is no place. Valid until the next call. */
struct map_fact *map_facts_reach(struct map_facts *facts, const struct map_fact_key *key,
                                 int64_t now_ms);

/* NULL: there is none. */
struct map_fact *map_facts_find(const struct map_facts *facts, const struct map_fact_key *key);

/* Forgets it. */
void map_facts_remove(struct map_facts *facts, struct map_fact *fact);

/* So many events more, the newest (and oldest) of them at time_ms, which is not in the future. */
void map_fact_add(struct map_fact *fact, uint64_t events, uint64_t bytes, int64_t time_ms);

/* Rates and gaps of all facts, once a second or so; dt_ms since the last one. */
void map_facts_tick(struct map_facts *facts, int64_t now_ms, int64_t dt_ms);

/*
 * Clients are seen as totals: between _begin and _end each fact that a client of its adds to gets
 * the sum of what they did, and what is more than in the sample before is new. Those that no client
 * adds to lose their connections. _end tells when the last one of a fact went (left_ms).
 */
void map_facts_sample_begin(struct map_facts *facts);
void map_fact_sample(struct map_fact *fact, uint64_t events, uint64_t bytes, int32_t connections,
                     int64_t first_ms, int64_t last_ms, int64_t left_ms);
void map_facts_sample_end(struct map_facts *facts, int64_t now_ms);

/* One more effect after so long; the median moves towards it. */
void map_fact_took(struct map_fact *fact, int64_t took_ms);

/* All copied, without what belongs to ticks and samples. *to is fresh. */
void map_facts_copy(const struct map_facts *from, struct map_facts *to);

#endif
