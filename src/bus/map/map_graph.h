#ifndef TIDINGS_BUS_MAP_MAP_GRAPH_H
#define TIDINGS_BUS_MAP_MAP_GRAPH_H

#include "base/arena.h"
#include "bus/map/map_facts.h"
#include "bus/map/map_rules.h"

/*
 * The flow map: services and event types, and who publishes, who consumes and what causes what, as
 * observed. Made of facts by a pure function: the same facts, rules and time give the same graph,
 * in the same order.
 *
 * A service is known by the first of principal, ce_source, group, client.id without its instance
 * suffix, and software of which it has exactly one; what is known to be the same is one service: a
 * client and the groups that it joined, a client and the source of the events under its producer
 * id, names that are equal but for "urn:", a scheme and slashes, and what a rule gives one name. A
 * client that publishes events of several sources is a relay and not one with them.
 *
 * At most MAP_NODES_MAX nodes, of which MAP_SERVICES_MAX services, so that types have room beside
 * them, and MAP_EDGES_MAX edges; what comes beyond is left out, and counted.
 */
enum { MAP_NODES_MAX = 2000, MAP_SERVICES_MAX = 1000, MAP_EDGES_MAX = 8000, MAP_RANKS_MAX = 9 };

enum map_state {
    MAP_FRESH,
    MAP_IDLE,    /* quiet for longer than three of its own usual gaps (and 15 s) */
    MAP_NEW,     /* first seen within the last hour, of those that anybody watched */
    MAP_FAILING, /* it gives events up, or does not get on with what waits */
    MAP_GONE,    /* nobody is there any more */
    MAP_STATES
};

/* "fresh", "idle", "new", "failing", "gone"; static. */
const char *map_state_name(enum map_state state);

/* "principal", "source", "group", "client", "software"; static. */
const char *map_name_word(enum map_name name);

struct map_names {
    VEC_FIELDS(const char *);
};

struct map_node {
    bool is_service; /* else an event type, or a topic for events without one */
    bool is_topic;
    const char *id;   /* "service:NAME", "type:NAME", "topic:NAME" */
    const char *name; /* any bytes but NUL */
    enum map_state state;
    const char *why; /* of failing and gone: what was observed. Else NULL */
    double rate;     /* events a second: of a type its own, of a service what it publishes */
    int64_t first_ms, last_ms;         /* 0: not known */
    int32_t members;                   /* of its groups; -1: not known, or it has none */
    int32_t connections;               /* -1: not known */
    int64_t left_ms;                   /* of gone: since when */
    int64_t session_timeout_ms;        /* 0: not known */
    struct map_names names[MAP_NAMES]; /* as observed, sorted */
    const char *guess;                 /* why one of them is a guess; NULL: none is */
    struct map_names topics;           /* of a type: that carry it */
    bool says_publisher;               /* of a type: its events say who published them */

    /* of the layout (bus/map_layout.h) */
    int rank, place;
    double x, y;
};

enum map_edge_kind { MAP_EDGE_PUBLISHES, MAP_EDGE_CONSUMES, MAP_EDGE_CAUSES };

/* "publishes", "consumes", "causes"; static. */
const char *map_edge_word(enum map_edge_kind kind);

struct map_edge {
    enum map_edge_kind kind;
    size_t from, to; /* publishes: service, type. consumes: type, service. causes: type, type */
    enum map_state state;
    const char *why; /* as a node's */
    double rate, byte_rate;
    uint64_t events;
    int64_t first_ms, last_ms;
    int64_t gap_ms;
    bool is_by_event;     /* publishes: the events themselves say so */
    const char *inferred; /* it is a guess, from this; NULL: it was observed */
    int64_t left_ms;      /* of gone: since when; 0: not known */

    /* consumes, of the whole topic */
    int64_t lag;       /* -1: not known */
    int64_t oldest_ms; /* when the oldest event that waits was published; 0: none, or not known */
    uint64_t errors;   /* events given up */

    /* causes */
    double share;      /* of events of the one type that had one of the other; 0 to 1 */
    double typical_ms; /* median */

    /* of the layout: where it goes past the columns between its ends */
    int past_count;
    double past[MAP_RANKS_MAX];
};

struct map_graph {
    struct arena arena;
    VEC(struct map_node) nodes; /* services by name, then types and topics by name */
    VEC(struct map_edge) edges; /* by kind, from, to */
    int64_t at_ms;
    int64_t began_ms;
    size_t left_out;   /* facts, services, types and edges that have no place: about */
    bool has_observer; /* what follows a broken connection at once; else session time-outs */
    char groups_error[160];

    /* of the layout */
    double width, height;
    int ranks;
};

struct map_view {
    int64_t now_ms;
    const struct map_rules *rules; /* NULL: none */
    bool is_past;                  /* who is there is not known: no state is gone or failing */
};

/* *graph is fresh; free it with map_graph_deinit. Nothing in it borrows from the facts. */
void map_graph_build(const struct map_facts *facts, const struct map_view *view,
                     struct map_graph *graph);
void map_graph_deinit(struct map_graph *graph);

/* The edges of a kind that begin at a node; NULL when *count is 0. Borrowed from the graph. */
const struct map_edge *map_graph_edges(const struct map_graph *graph, enum map_edge_kind kind,
                                       size_t from, size_t *count);

/* The type (or topic) of this name; NULL: there is none. */
const struct map_node *map_graph_type(const struct map_graph *graph, const char *name);

/* What is new, gone or otherwise in `now` beside `then`, by names: see map_diff_json. */
enum map_change { MAP_ADDED, MAP_REMOVED, MAP_CHANGED };
typedef void map_diff_seen(void *context, enum map_change change, const struct map_node *node_now,
                           const struct map_node *node_then, const struct map_edge *edge_now,
                           const struct map_edge *edge_then);

/* Nodes first. Changed: an edge whose rate is three times as high or as low, or whose state is
 * another. What was quiet in both is no change. */
void map_graph_diff(const struct map_graph *now, const struct map_graph *then, map_diff_seen *seen,
                    void *context);

#endif
