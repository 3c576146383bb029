#include "bus/map/map_graph_inside.h"

static void free_places(struct map_place **places)
{
    struct map_place *place, *next;
    HASH_ITER (hh, *places, place, next) {
        HASH_DEL(*places, place);
        free(place);
    }
}

void map_build_free(struct map_builder *builder)
{
    struct map_topic *topic, *next;
    struct map_group *group, *next_group;
    free_places(&builder->types);
    free_places(&builder->edges);
    HASH_ITER (hh, builder->topics, topic, next) {
        HASH_DEL(builder->topics, topic);
        vec_deinit(&topic->types);
        free(topic);
    }
    HASH_ITER (hh, builder->groups, group, next_group) {
        HASH_DEL(builder->groups, group);
        free(group);
    }
    map_services_free(builder->services);
    free(builder->presences);
    free(builder->service_nodes);
    vec_deinit(&builder->by_clients);
}

static struct map_place *find_place(struct map_place *places, const void *key, size_t size)
{
    struct map_place *place;
    HASH_FIND(hh, places, key, size, place);
    return place;
}

/* Where there is none yet. */
static void add_place(struct map_builder *builder, struct map_place **places, const void *key,
                      size_t size, size_t index)
{
    struct map_place *place = mem_new(struct map_place);
    place->index = index;
    HASH_ADD_KEYPTR(hh, *places, arena_dup(&builder->graph->arena, key, size), size, place);
}

void map_build_widen(int64_t *first_ms, int64_t *last_ms, const struct map_fact *fact)
{
    if (fact->first_ms > 0 && (*first_ms == 0 || fact->first_ms < *first_ms)) {
        *first_ms = fact->first_ms;
    }
    if (fact->last_ms > *last_ms) {
        *last_ms = fact->last_ms;
    }
}

/* --- types and topics --- */

static size_t add_type(struct map_builder *builder, struct slice name, bool is_topic)
{
    struct map_graph *graph = builder->graph;
    struct map_node *node = vec_add(&graph->nodes);
    node->is_topic = is_topic;
    node->name = arena_cstr(&graph->arena, name);
    node->id = arena_sprintf(&graph->arena, "%s:%s", is_topic ? "topic" : "type", node->name);
    node->members = node->connections = -1;
    return graph->nodes.count - 1;
}

/* MAP_NONE: there is no room. */
static size_t reach_type(struct map_builder *builder, struct slice name, bool is_topic)
{
    uint8_t key[1 + MAP_NAME_BYTES];
    key[0] = is_topic;
    slice_copy(key + 1, name);
    const struct map_place *place = find_place(builder->types, key, name.size + 1);
    if (place != NULL) {
        return place->index;
    }
    if (builder->graph->nodes.count >= MAP_NODES_MAX) {
        map_left_out_add(&builder->left_out, key, name.size + 1);
        return MAP_NONE;
    }
    size_t index = add_type(builder, name, is_topic);
    add_place(builder, &builder->types, key, name.size + 1, index);
    return index;
}

static struct map_topic *reach_topic(struct map_builder *builder, struct slice name)
{
    struct map_topic *topic;
    name = slice_is_null(name) ? slice_str("") : name;
    HASH_FIND(hh, builder->topics, name.data, name.size, topic);
    if (topic == NULL) {
        topic = mem_new(struct map_topic);
        HASH_ADD_KEYPTR(hh, builder->topics,
                        arena_dup(&builder->graph->arena, name.data, name.size), name.size, topic);
    }
    return topic;
}

static void topic_carries(struct map_builder *builder, struct slice topic_name, size_t node,
                          double rate)
{
    struct map_topic *topic = reach_topic(builder, topic_name);
    for (size_t i = 0; i < topic->types.count; i++) {
        if (topic->types.items[i].node == node) {
            return;
        }
    }
    vec_push(&topic->types, (struct map_type_rate){node, rate});
    topic->rate += rate;
    const char *name = arena_cstr(&builder->graph->arena, topic_name);
    vec_push(&builder->graph->nodes.items[node].topics, name);
}

void map_build_carried(struct map_builder *builder, const struct map_fact *fact)
{
    bool is_topic = slice_is_null(fact->is.type);
    size_t index = reach_type(builder, is_topic ? fact->is.topic : fact->is.type, is_topic);
    if (index != MAP_NONE) {
        struct map_node *node = &builder->graph->nodes.items[index];
        node->rate += fact->rate;
        map_build_widen(&node->first_ms, &node->last_ms, fact);
        topic_carries(builder, fact->is.topic, index, fact->rate);
    }
}

/* What a topic carries; a topic of which no event was seen is a node itself. */
struct map_topic *map_build_types(struct map_builder *builder, struct slice name)
{
    struct map_topic *topic = reach_topic(builder, name);
    if (topic->types.count == 0) {
        size_t index = reach_type(builder, name, true);
        if (index != MAP_NONE) {
            topic_carries(builder, name, index, 0);
        }
    }
    return topic;
}

/* --- edges --- */

struct map_edge *map_build_edge(struct map_builder *builder, enum map_edge_kind kind, size_t from,
                                size_t to)
{
    const size_t key[] = {(size_t)kind, from, to};
    struct map_graph *graph = builder->graph;
    if (from == MAP_NONE || to == MAP_NONE) {
        return NULL;
    }
    const struct map_place *place = find_place(builder->edges, key, sizeof key);
    if (place != NULL) {
        return &graph->edges.items[place->index];
    }
    if (graph->edges.count >= MAP_EDGES_MAX) {
        map_left_out_add(&builder->left_out, key, sizeof key);
        return NULL;
    }
    add_place(builder, &builder->edges, key, sizeof key, graph->edges.count);
    vec_push(&builder->by_clients, 0);
    struct map_edge *edge = vec_add(&graph->edges);
    *edge = (struct map_edge){.kind = kind, .from = from, .to = to, .lag = -1};
    return edge;
}

/* Whether its events themselves say that the service publishes the type. */
static bool says_so(struct map_builder *builder, size_t service, size_t type)
{
    const size_t key[] = {MAP_EDGE_PUBLISHES, service, type};
    const struct map_place *place = find_place(builder->edges, key, sizeof key);
    return place != NULL && builder->graph->edges.items[place->index].is_by_event;
}

static void add_flow(struct map_edge *edge, const struct map_fact *fact, double share)
{
    edge->rate += fact->rate * share;
    edge->byte_rate += fact->byte_rate * share;
    edge->events += fact->events;
    if (fact->gap_ms > 0 && (edge->gap_ms == 0 || fact->gap_ms < edge->gap_ms)) {
        edge->gap_ms = fact->gap_ms;
    }
    map_build_widen(&edge->first_ms, &edge->last_ms, fact);
}

/* What part of a topic's events are of one of its types. */
static double share_of(const struct map_topic *topic, size_t index)
{
    return topic->rate > 0 ? topic->types.items[index].rate / topic->rate
                           : 1.0 / (double)topic->types.count;
}

void map_build_publishes_type(struct map_builder *builder, size_t service,
                              const struct map_fact *fact)
{
    size_t type = reach_type(builder, fact->is.type, false);
    struct map_edge *edge = map_build_edge(builder, MAP_EDGE_PUBLISHES, service, type);
    if (edge != NULL) {
        builder->graph->nodes.items[type].says_publisher = true;
        edge->is_by_event = true;
        add_flow(edge, fact, 1);
    }
}

/*
 * A client produced to a topic, and its events do not say that it was this one. Where the service
 * is known to publish something of it, that is it; else it is what of it does not say who published
 * it; else all.
 */
void map_build_publishes_topic(struct map_builder *builder, size_t service,
                               const struct map_fact *fact)
{
    struct map_topic *topic = map_build_types(builder, fact->is.topic);
    const struct map_node *nodes = builder->graph->nodes.items;
    bool is_open = false;
    for (size_t i = 0; i < topic->types.count; i++) {
        if (says_so(builder, service, topic->types.items[i].node)) {
            return;
        }
        is_open = is_open || !nodes[topic->types.items[i].node].says_publisher;
    }
    for (size_t i = 0; i < topic->types.count; i++) {
        size_t type = topic->types.items[i].node;
        if (is_open && nodes[type].says_publisher) {
            continue;
        }
        struct map_edge *edge = map_build_edge(builder, MAP_EDGE_PUBLISHES, service, type);
        if (edge != NULL) {
            add_flow(edge, fact, share_of(topic, i));
            if (!is_open || topic->types.count > 1) {
                edge->inferred = "it produces to the topic";
            }
        }
    }
}

void map_build_consumes(struct map_builder *builder, size_t service, const struct map_fact *fact)
{
    struct map_topic *topic = map_build_types(builder, fact->is.topic);
    bool is_group = !slice_is_null(fact->is.names[MAP_GROUP]);
    for (size_t i = 0; i < topic->types.count; i++) {
        size_t type = topic->types.items[i].node;
        struct map_edge *edge = map_build_edge(builder, MAP_EDGE_CONSUMES, type, service);
        if (edge == NULL) {
            continue;
        }
        double by_groups = edge->rate;
        add_flow(edge, fact, share_of(topic, i));
        if (!is_group) { /* the same events once more, where it has groups */
            edge->rate = by_groups;
            builder->by_clients.items[edge - builder->graph->edges.items] +=
                fact->rate * share_of(topic, i);
            continue;
        }
        if (fact->lag >= 0) {
            edge->lag = (edge->lag < 0 ? 0 : edge->lag) + fact->lag;
        }
        if (fact->oldest_ms > 0 && (edge->oldest_ms == 0 || fact->oldest_ms < edge->oldest_ms)) {
            edge->oldest_ms = fact->oldest_ms;
        }
        edge->errors += fact->errors;
    }
}

void map_build_causes(struct map_builder *builder, const struct map_fact *fact)
{
    if (slice_is_null(fact->is.other)) {
        return;
    }
    struct map_fact_key base_key = {.kind = MAP_CAUSES, .type = fact->is.type};
    const struct map_fact *base = map_facts_find(builder->facts, &base_key);
    size_t from = reach_type(builder, fact->is.type, false);
    size_t to = reach_type(builder, fact->is.other, false);
    struct map_edge *edge = map_build_edge(builder, MAP_EDGE_CAUSES, from, to);
    if (edge == NULL) {
        return;
    }
    add_flow(edge, fact, 1);
    edge->typical_ms = fact->took_ms;
    if (base != NULL && base->events > 0) {
        double share = (double)fact->events / (double)base->events;
        edge->share = share > 1 ? 1 : share;
    }
    if (fact->is_inferred) {
        edge->inferred = "the same trace";
    }
}
