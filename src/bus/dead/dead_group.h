#ifndef TIDINGS_BUS_DEAD_DEAD_GROUP_H
#define TIDINGS_BUS_DEAD_DEAD_GROUP_H

#include "bus/dead/dead_view.h"

/*
 * Dead letters by what they have in common. Memory: bounded by DEAD_GROUPS_MAX groups of at most
 * 2 KiB each; what belongs to more groups is counted together. Pure; one thread.
 */
enum dead_by {
    DEAD_BY_CAUSE,
    DEAD_BY_CLASS,
    DEAD_BY_TYPE,
    DEAD_BY_KEY,
    DEAD_BY_HANDLER,
    DEAD_BY_TOPIC,
    DEAD_BY_DAY
};

/* Such a word ("cause", "class", "type", "key", "handler", "topic", "day"), or false. */
CHECKED bool dead_by_parse(const char *word, enum dead_by *by);

enum { DEAD_GROUPS_MAX = 10000, DEAD_TYPES_MAX = 8, DEAD_SHOWN_BYTES = 200 };

struct dead_group {
    UT_hash_handle hh;
    uint64_t name_hash[2];
    bool is_known;               /* the letters have what they are grouped by */
    char *name;                  /* what they have in common; the first DEAD_SHOWN_BYTES of it */
    char cause[33];              /* of the newest */
    char *error_class, *message; /* of the newest; NULL: none */
    int64_t newest_ms;
    int64_t count, states[DEAD_STATES];
    int64_t lanes_closed;      /* events behind these wait */
    int64_t first_ms, last_ms; /* when they died; -1: not known */
    char *types[DEAD_TYPES_MAX];
    size_t type_count;
    bool has_more_types;
};

struct dead_groups {
    enum dead_by by;
    struct dead_group *all; /* a hash (uthash.h) */
    int64_t total;
    int64_t left_out; /* events of groups beyond the bound */
};

/* One more event. */
void dead_groups_add(struct dead_groups *groups, const struct dead_seen *seen);

/* The largest number of open events first, then the largest groups: an order for HASH_ITER. */
void dead_groups_sort(struct dead_groups *groups);

/* Frees all. */
void dead_groups_deinit(struct dead_groups *groups);

#endif
