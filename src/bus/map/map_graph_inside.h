#ifndef TIDINGS_BUS_MAP_MAP_GRAPH_INSIDE_H
#define TIDINGS_BUS_MAP_MAP_GRAPH_INSIDE_H

/* The inside of bus/map/map_graph.h: what its files share. Facts become nodes and edges
 * (map_graph_edges.c), who is there gives them states (map_graph_state.c), and all of it gets its
 * order (map_graph_order.c). */

#include "bus/map/map_services.h"

#define MAP_NONE SIZE_MAX /* no node, no edge */

struct map_place {
    UT_hash_handle hh;
    size_t index;
};

struct map_type_rate {
    size_t node;
    double rate;
};

struct map_topic {
    UT_hash_handle hh;
    VEC(struct map_type_rate) types;
    double rate; /* of all of them */
};

/* Whether anybody of a group is there, as its connections tell it. */
struct map_group {
    UT_hash_handle hh;
    bool is_known, is_connected;
    int64_t left_ms;
};

/* Whether anybody of a service is there, from all that is known of it. */
struct map_presence {
    bool is_known, is_there, by_session;
    int64_t left_ms;
};

struct map_builder {
    struct map_graph *graph;
    const struct map_view *view;
    const struct map_facts *facts;
    struct map_services *services;
    struct map_place *types, *edges; /* by kind and name; by kind, from, to */
    struct map_topic *topics;
    struct map_group *groups;
    struct map_left_out left_out;   /* types and edges for which there is no room */
    size_t *service_nodes;          /* of each service: its node; MAP_NONE: it has none */
    struct map_presence *presences; /* of each service */
    VEC(double) by_clients; /* of each edge: what clients fetch, beside what groups commit */
};

/* --- nodes and edges (map_graph_edges.c) --- */

/* Frees what was needed only while the graph was made. */
void map_build_free(struct map_builder *builder);

/* What the topic carries; a topic of which no event was seen is a node itself, if there is room. */
struct map_topic *map_build_types(struct map_builder *builder, struct slice name);

/* The edge between two nodes, made if need be. NULL: one of them is MAP_NONE, or there is no room
 * for more. Valid until the next is made. */
struct map_edge *map_build_edge(struct map_builder *builder, enum map_edge_kind kind, size_t from,
                                size_t to);

/* Takes one fact: of what a topic carries, of what a service publishes (first those with types,
 * then those of a whole topic), of what it consumes, and of causes. */
void map_build_carried(struct map_builder *builder, const struct map_fact *fact);
void map_build_publishes_type(struct map_builder *builder, size_t service,
                              const struct map_fact *fact);
void map_build_publishes_topic(struct map_builder *builder, size_t service,
                               const struct map_fact *fact);
void map_build_consumes(struct map_builder *builder, size_t service, const struct map_fact *fact);
void map_build_causes(struct map_builder *builder, const struct map_fact *fact);

/* First and last time so that they span the fact's. */
void map_build_widen(int64_t *first_ms, int64_t *last_ms, const struct map_fact *fact);

/* --- who is there, and states (map_graph_state.c) --- */

/* Takes what a fact says of who is connected for its group; all of them before the next. */
void map_build_group(struct map_builder *builder, const struct map_fact *fact);

/* Takes what a fact says of who is there of a service. */
void map_build_presence(struct map_builder *builder, size_t service, const struct map_fact *fact);

/* States of the edges that a group's fact is part of; then of all edges; then of all nodes. */
void map_judge_group(struct map_builder *builder, size_t service, const struct map_fact *fact);
void map_judge_edges(struct map_builder *builder);
void map_judge_nodes(struct map_builder *builder);

/* --- order (map_graph_order.c) --- */

/* Services of which nothing is shown are left out. */
void map_graph_drop_lonely(struct map_graph *graph);

/* The same facts, met in another order, give the same graph. */
void map_graph_sort(struct map_graph *graph);

#endif
