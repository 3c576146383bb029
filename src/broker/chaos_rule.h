#ifndef TIDINGS_BROKER_CHAOS_RULE_H
#define TIDINGS_BROKER_CHAOS_RULE_H

#include "base/random.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * One fault on request: which requests it is for, and when it strikes. Pure: facts and time in,
 * yes or no out; the same seed and the same row of requests give the same strikes.
 */
enum chaos_kind {
    CHAOS_ERROR, /* answered with an error, and not done */
    CHAOS_DELAY, /* done, and answered later */
    CHAOS_DROP,  /* the connection is cut, and nothing is done */
    CHAOS_LOSE,  /* done, and the connection is cut instead of an answer */
    CHAOS_PAUSE, /* fetches find no events */
    CHAOS_FULL,  /* as an error: a full disk takes no events */
    /* What happens once, to a group or a producer, and is only kept to be told. */
    CHAOS_EXPIRE,
    CHAOS_REBALANCE,
    CHAOS_FENCE,
    CHAOS_KINDS
};

enum {
    CHAOS_APIS_MOST = 96,
    CHAOS_NAMES_MOST = 32, /* of topics, or groups, of one request that are looked at */
    CHAOS_SURE = 1000000,  /* as the chance of a rule: always */
};

/* What a request is about. Slices borrow from it. */
struct chaos_facts {
    int16_t api_key;
    bool is_unanswered; /* Produce with acks=0 */
    struct slice client_id;
    struct slice transactional_id; /* null: none */
    struct slice topics[CHAOS_NAMES_MOST];
    size_t topic_count;
    struct slice groups[CHAOS_NAMES_MOST];
    size_t group_count;
};

/* Why a rule strikes no more. */
enum chaos_end { CHAOS_GOES_ON, CHAOS_COUNT_OVER, CHAOS_TIME_OVER, CHAOS_CLEARED, CHAOS_DONE };

struct chaos_rule {
    int64_t id;
    enum chaos_kind kind;
    bool has_apis; /* false: all but those by which a client begins to speak */
    bool apis[CHAOS_APIS_MOST];
    /* Patterns with * and ?; NULL: any, or none. Owned. */
    char *client;
    char *topic;
    char *group;
    char *transactional_id;
    int16_t error_code;
    int64_t delay_ms;
    int64_t after;    /* so many that it is for are let through first */
    int64_t count;    /* strikes that are left; -1: no limit */
    int64_t until_ms; /* mono; INT64_MAX: no limit */
    int64_t chance;   /* of CHAOS_SURE */
    uint64_t seed;
    struct random random;

    enum chaos_end end;
    int64_t seen;   /* requests that it is for */
    int64_t struck; /* of them */
    int64_t begun_wall_ms;
    int64_t last_wall_ms; /* -1: it never struck */
};

/* "error". Static. */
const char *chaos_kind_name(enum chaos_kind kind);
/* False for a name that there is not. */
bool chaos_kind_parse(const char *name, enum chaos_kind *kind);
/* "count", "time", "cleared", "done"; "" while it goes on. Static. */
const char *chaos_end_name(enum chaos_end end);

/* One without conditions that goes on for ever. */
void chaos_rule_init(struct chaos_rule *rule, enum chaos_kind kind, uint64_t seed);
void chaos_rule_deinit(struct chaos_rule *rule);

/* Whether the rule is for such a request. Of several topics or groups one is enough. */
bool chaos_rule_matches(const struct chaos_rule *rule, const struct chaos_facts *facts);

/* Whether it strikes this request, which is counted; ends the rule when its count or its time is
 * over. */
bool chaos_rule_strikes(struct chaos_rule *rule, const struct chaos_facts *facts, int64_t mono_ms,
                        int64_t wall_ms);

/* Ends the rule when its time is over. */
void chaos_rule_look(struct chaos_rule *rule, int64_t mono_ms);

/* Whether the pattern, with * for any letters and ? for one, fits the whole text. */
bool chaos_name_fits(const char *pattern, struct slice text);

#endif
