#include "bus/map/map_graph_inside.h"

enum { FORGET_MS = 7 * 24 * 60 * 60 * 1000 };

const char *map_state_name(enum map_state state)
{
    static const char *const names[] = {"fresh", "idle", "new", "failing", "gone"};
    return names[state];
}

const char *map_name_word(enum map_name name)
{
    static const char *const words[] = {"principal", "source", "group", "client", "software"};
    return words[name];
}

const char *map_edge_word(enum map_edge_kind kind)
{
    static const char *const words[] = {"publishes", "consumes", "causes"};
    return words[kind];
}

/* Those that nobody was heard of for long are of the past. */
static bool is_forgotten(const struct map_builder *builder, const struct map_fact *fact)
{
    int64_t heard_ms = fact->last_ms > fact->left_ms ? fact->last_ms : fact->left_ms;
    heard_ms = heard_ms > fact->first_ms ? heard_ms : fact->first_ms;
    bool is_there = fact->connections > 0 || fact->members > 0;
    return !is_there && heard_ms > 0 && builder->view->now_ms - heard_ms > FORGET_MS;
}

/* Which service a fact is of, as map_services_of; only of those that are not forgotten. */
static size_t service_of(const struct map_builder *builder, const struct map_fact *fact)
{
    return is_forgotten(builder, fact) ? MAP_NONE : map_services_of(builder->services, &fact->is);
}

static size_t add_service(struct map_builder *builder, size_t index)
{
    struct map_graph *graph = builder->graph;
    struct map_service *service = map_services_item(builder->services, index);
    if (graph->nodes.count >= MAP_SERVICES_MAX) {
        graph->left_out++;
        return MAP_NONE;
    }
    struct map_node *node = vec_add(&graph->nodes);
    node->is_service = true;
    node->name = service->name;
    node->id = arena_sprintf(&graph->arena, "service:%s", service->name);
    node->members = node->connections = -1;
    if (map_services_is_guess(builder->services, index)) {
        node->guess = "its client is the only one that produces to a topic of its source";
    }
    memcpy(node->names, service->names, sizeof node->names);
    memset(service->names, 0, sizeof service->names);
    return graph->nodes.count - 1;
}

/* Of those that publish or consume; the others would take the places, and nothing is shown of them.
 */
static void add_services(struct map_builder *builder)
{
    size_t count = map_services_count(builder->services);
    bool *flows = mem_new_array(bool, count + 1);
    builder->service_nodes = mem_new_array(size_t, count + 1);
    for (const struct map_fact *fact = builder->facts->by_key; fact != NULL; fact = fact->hh.next) {
        bool is_flow = fact->is.kind == MAP_PUBLISHES || fact->is.kind == MAP_CONSUMES;
        size_t service = is_flow ? service_of(builder, fact) : MAP_NONE;
        if (service != MAP_NONE) {
            flows[service] = true;
        }
    }
    for (size_t i = 0; i < count; i++) {
        builder->service_nodes[i] = flows[i] ? add_service(builder, i) : MAP_NONE;
    }
    builder->presences = mem_new_array(struct map_presence, builder->graph->nodes.count + 1);
    free(flows);
}

typedef void each_fact(struct map_builder *builder, size_t service, const struct map_fact *fact);

/* Calls it for the facts of some kinds that are of services, with the services' nodes. */
static void for_each(struct map_builder *builder, unsigned kinds, each_fact *each)
{
    for (const struct map_fact *fact = builder->facts->by_key; fact != NULL; fact = fact->hh.next) {
        bool is_wanted = (kinds & (1U << fact->is.kind)) != 0;
        size_t service = is_wanted ? service_of(builder, fact) : MAP_NONE;
        size_t node = service != MAP_NONE ? builder->service_nodes[service] : MAP_NONE;
        if (node != MAP_NONE) {
            each(builder, node, fact);
        }
    }
}

static void each_publishes_type(struct map_builder *builder, size_t service,
                                const struct map_fact *fact)
{
    if (!slice_is_null(fact->is.type)) {
        map_build_publishes_type(builder, service, fact);
    }
}

static void each_publishes_topic(struct map_builder *builder, size_t service,
                                 const struct map_fact *fact)
{
    if (slice_is_null(fact->is.type)) {
        map_build_publishes_topic(builder, service, fact);
    }
}

static void each_judge_group(struct map_builder *builder, size_t service,
                             const struct map_fact *fact)
{
    if (!slice_is_null(fact->is.names[MAP_GROUP]) && !builder->view->is_past) {
        map_judge_group(builder, service, fact);
    }
}

static void build(struct map_builder *builder)
{
    enum { PUBLISHES = 1U << MAP_PUBLISHES, CONSUMES = 1U << MAP_CONSUMES };
    add_services(builder);
    for (const struct map_fact *fact = builder->facts->by_key; fact != NULL; fact = fact->hh.next) {
        if (fact->is.kind == MAP_CARRIES && !is_forgotten(builder, fact)) {
            map_build_carried(builder, fact);
        }
        map_build_group(builder, fact);
    }
    for_each(builder, PUBLISHES, each_publishes_type);
    for_each(builder, PUBLISHES, each_publishes_topic);
    for_each(builder, CONSUMES, map_build_consumes);
    for_each(builder, PUBLISHES | CONSUMES | 1U << MAP_JOINED, map_build_presence);
    for (const struct map_fact *fact = builder->facts->by_key; fact != NULL; fact = fact->hh.next) {
        if (fact->is.kind == MAP_CAUSES && !is_forgotten(builder, fact)) {
            map_build_causes(builder, fact);
        }
    }
    for (size_t i = 0; i < builder->graph->edges.count; i++) {
        builder->graph->edges.items[i].state = MAP_STATES;
    }
    for_each(builder, CONSUMES, each_judge_group);
    map_judge_edges(builder);
    map_judge_nodes(builder);
}

void map_graph_build(const struct map_facts *facts, const struct map_view *view,
                     struct map_graph *graph)
{
    *graph = (struct map_graph){
        .at_ms = view->now_ms, .began_ms = facts->began_ms, .has_observer = facts->has_observer};
    memcpy(graph->groups_error, facts->groups_error, sizeof graph->groups_error);
    struct map_builder builder = {.graph = graph, .view = view, .facts = facts};
    builder.services = map_services_new(facts, view->rules, &graph->arena);
    build(&builder);
    graph->left_out += map_left_out_count(&facts->left_out) + map_left_out_count(&builder.left_out);
    map_build_free(&builder);
    map_graph_drop_lonely(graph);
    map_graph_sort(graph);
}

void map_graph_deinit(struct map_graph *graph)
{
    for (size_t i = 0; i < graph->nodes.count; i++) {
        struct map_node *node = &graph->nodes.items[i];
        for (int kind = 0; kind < MAP_NAMES; kind++) {
            vec_deinit(&node->names[kind]);
        }
        vec_deinit(&node->topics);
    }
    vec_deinit(&graph->nodes);
    vec_deinit(&graph->edges);
    arena_deinit(&graph->arena);
}

const struct map_node *map_graph_type(const struct map_graph *graph, const char *name)
{
    const struct map_node *found = NULL;
    for (size_t i = 0; i < graph->nodes.count; i++) {
        const struct map_node *node = &graph->nodes.items[i];
        if (!node->is_service && strcmp(node->name, name) == 0 &&
            (found == NULL || found->is_topic)) {
            found = node;
        }
    }
    return found;
}
