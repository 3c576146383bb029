#include "bus/map/map_graph_inside.h"

enum {
    NEW_MS = 60 * 60 * 1000,
    FIRST_LOOK_MS = 60 * 1000, /* what is seen so soon after the beginning was there before */
    IDLE_FLOOR_MS = 15000,
    STUCK_MS = 60000,
    ERROR_MS = 5 * 60 * 1000,
};

/* --- who is there --- */

static struct map_group *find_group(const struct map_builder *builder, struct slice name)
{
    struct map_group *group = NULL;
    if (slice_is_null(name)) {
        return NULL; /* an empty name is one */
    }
    HASH_FIND(hh, builder->groups, name.data, name.size, group);
    return group;
}

void map_build_group(struct map_builder *builder, const struct map_fact *fact)
{
    struct slice name = fact->is.names[MAP_GROUP];
    struct map_group *group = find_group(builder, name);
    if (fact->is.kind != MAP_JOINED || fact->connections < 0 || slice_is_null(name)) {
        return;
    }
    if (group == NULL) {
        group = mem_new(struct map_group);
        HASH_ADD_KEYPTR(hh, builder->groups, name.data, name.size, group);
    }
    group->is_known = true;
    group->is_connected = group->is_connected || fact->connections > 0;
    group->left_ms = fact->left_ms > group->left_ms ? fact->left_ms : group->left_ms;
}

/* Whether this fact's group is still there; false in *is_known: nothing tells. */
static struct map_presence presence_of_group(const struct map_builder *builder,
                                             const struct map_fact *fact)
{
    struct map_group *group = find_group(builder, fact->is.names[MAP_GROUP]);
    struct map_presence presence = {.is_known = fact->members >= 0, .is_there = fact->members > 0};
    presence.by_session = fact->members == 0;
    presence.left_ms = fact->left_by_session_ms;
    if (group != NULL && group->is_known && !group->is_connected) {
        presence.is_known = true;
        presence.is_there = false;
        presence.left_ms = group->left_ms; /* which is never later than that the session is over */
    }
    return presence;
}

static struct map_presence presence_of(const struct map_builder *builder,
                                       const struct map_fact *fact)
{
    if (fact->is.kind == MAP_CONSUMES && !slice_is_null(fact->is.names[MAP_GROUP])) {
        return presence_of_group(builder, fact);
    }
    return (struct map_presence){.is_known = fact->connections >= 0,
                                 .is_there = fact->connections > 0,
                                 .left_ms = fact->left_ms};
}

void map_build_presence(struct map_builder *builder, size_t service, const struct map_fact *fact)
{
    struct map_node *node = &builder->graph->nodes.items[service];
    struct map_presence *all = &builder->presences[service];
    struct map_presence one = presence_of(builder, fact);
    map_build_widen(&node->first_ms, &node->last_ms, fact);
    if (fact->connections > node->connections) {
        node->connections = fact->connections;
    }
    if (fact->members > node->members) {
        node->members = fact->members;
    }
    if (fact->session_timeout_ms > node->session_timeout_ms) {
        node->session_timeout_ms = fact->session_timeout_ms;
    }
    if (one.is_known) {
        bool is_first = !all->is_known;
        all->is_known = true;
        all->is_there = all->is_there || one.is_there;
        if (is_first || one.left_ms > all->left_ms) {
            all->left_ms = one.left_ms;
            all->by_session = one.by_session;
        }
    }
}

/* --- states --- */

static const char *why_gone(bool by_session)
{
    return by_session ? "its group has no members any more: they left, or their session timed out"
                      : "its last connection ended";
}

static bool is_new(const struct map_builder *builder, int64_t first_ms)
{
    return first_ms > builder->facts->began_ms + FIRST_LOOK_MS &&
           builder->view->now_ms - first_ms < NEW_MS;
}

static enum map_state quiet_state(const struct map_builder *builder, int64_t first_ms,
                                  int64_t last_ms, int64_t gap_ms)
{
    int64_t idle_ms = 3 * gap_ms > IDLE_FLOOR_MS ? 3 * gap_ms : IDLE_FLOOR_MS;
    if (is_new(builder, first_ms)) {
        return MAP_NEW;
    }
    return builder->view->now_ms - last_ms > idle_ms ? MAP_IDLE : MAP_FRESH;
}

static void set_failing(struct map_builder *builder, struct map_edge *edge,
                        const struct map_fact *fact)
{
    int64_t now_ms = builder->view->now_ms;
    int64_t stuck_ms = 3 * fact->gap_ms > STUCK_MS ? 3 * fact->gap_ms : STUCK_MS;
    bool waits = fact->members > 0 && fact->lag > 0 && fact->oldest_ms > 0 &&
                 now_ms - fact->oldest_ms > stuck_ms && now_ms - fact->progress_ms > stuck_ms;
    if (fact->error_ms > 0 && now_ms - fact->error_ms < ERROR_MS) {
        edge->state = MAP_FAILING;
        edge->why = "events were given up within the last 5 minutes";
    } else if (waits) {
        edge->state = MAP_FAILING;
        edge->why = "events wait, and nothing was committed for more than a minute";
    }
}

/* What a group's fact says of the edges that it is part of. */
void map_judge_group(struct map_builder *builder, size_t service, const struct map_fact *fact)
{
    struct map_presence presence = presence_of_group(builder, fact);
    struct map_topic *topic = map_build_types(builder, fact->is.topic);
    for (size_t i = 0; i < topic->types.count; i++) {
        struct map_edge *edge =
            map_build_edge(builder, MAP_EDGE_CONSUMES, topic->types.items[i].node, service);
        if (edge == NULL) {
            continue;
        }
        if (presence.is_known && !presence.is_there) {
            edge->state = edge->state == MAP_STATES ? MAP_GONE : edge->state;
            edge->why = edge->state == MAP_GONE ? why_gone(presence.by_session) : edge->why;
            edge->left_ms = presence.left_ms > edge->left_ms ? presence.left_ms : edge->left_ms;
        } else if (presence.is_there) {
            edge->state = quiet_state(builder, edge->first_ms, edge->last_ms, edge->gap_ms);
            edge->why = NULL;
            set_failing(builder, edge, fact);
        }
    }
}

static bool is_live_service(const struct map_builder *builder, size_t service)
{
    const struct map_presence *presence = &builder->presences[service];
    return !presence->is_known || presence->is_there;
}

void map_judge_edges(struct map_builder *builder)
{
    for (size_t i = 0; i < builder->graph->edges.count; i++) {
        struct map_edge *edge = &builder->graph->edges.items[i];
        size_t service = edge->kind == MAP_EDGE_PUBLISHES  ? edge->from
                         : edge->kind == MAP_EDGE_CONSUMES ? edge->to
                                                           : MAP_NONE;
        if (edge->state == MAP_STATES) {
            edge->state = quiet_state(builder, edge->first_ms, edge->last_ms, edge->gap_ms);
        }
        if (service != MAP_NONE && !builder->view->is_past && edge->state != MAP_GONE &&
            !is_live_service(builder, service)) {
            edge->state = MAP_GONE;
            edge->why = why_gone(builder->presences[service].by_session);
            edge->left_ms = builder->presences[service].left_ms;
        }
        edge->left_ms = edge->state == MAP_GONE ? edge->left_ms : 0;
        if (builder->by_clients.items[i] > edge->rate) {
            edge->rate = builder->by_clients.items[i];
        }
    }
}

/* What a node's edges say: the best of their states, and why. */
struct verdict {
    bool has_edges;
    enum map_state best;
    const char *why;
};

static void hear_edge(struct verdict *verdict, const struct map_edge *edge)
{
    static const int order[MAP_STATES] = {
        [MAP_GONE] = 0, [MAP_IDLE] = 1, [MAP_FRESH] = 2, [MAP_NEW] = 3, [MAP_FAILING] = 4};
    if (!verdict->has_edges) {
        *verdict = (struct verdict){true, MAP_GONE, NULL};
    }
    if (order[edge->state] > order[verdict->best]) {
        verdict->best = edge->state;
        verdict->why = edge->why;
    }
}

/* Services hear all their edges, types those who publish them. */
static struct verdict *hear_edges(struct map_builder *builder)
{
    struct map_graph *graph = builder->graph;
    struct verdict *verdicts = mem_new_array(struct verdict, graph->nodes.count + 1);
    for (size_t i = 0; i < graph->edges.count; i++) {
        const struct map_edge *edge = &graph->edges.items[i];
        if (edge->kind == MAP_EDGE_PUBLISHES) {
            hear_edge(&verdicts[edge->from], edge);
            hear_edge(&verdicts[edge->to], edge);
            graph->nodes.items[edge->from].rate += edge->rate;
        } else if (edge->kind == MAP_EDGE_CONSUMES) {
            hear_edge(&verdicts[edge->to], edge);
        }
    }
    return verdicts;
}

static void judge_service(struct map_builder *builder, size_t index, const struct verdict *verdict)
{
    struct map_node *node = &builder->graph->nodes.items[index];
    node->state = verdict->has_edges ? verdict->best : MAP_IDLE;
    node->why = verdict->why;
    if (node->state != MAP_FAILING && node->state != MAP_GONE && is_new(builder, node->first_ms)) {
        node->state = MAP_NEW;
    }
    if (!builder->view->is_past && !is_live_service(builder, index)) {
        node->state = MAP_GONE;
        node->why = why_gone(builder->presences[index].by_session);
        node->left_ms = builder->presences[index].left_ms;
    }
}

/* That its publishers are gone makes no event gone. */
static void judge_type(struct map_builder *builder, struct map_node *node,
                       const struct verdict *verdict)
{
    enum map_state own = quiet_state(builder, node->first_ms, node->last_ms, 0);
    bool is_fresh = verdict->has_edges && verdict->best == MAP_FRESH;
    node->state = own == MAP_NEW ? MAP_NEW : is_fresh ? MAP_FRESH : own;
}

void map_judge_nodes(struct map_builder *builder)
{
    struct verdict *verdicts = hear_edges(builder);
    for (size_t i = 0; i < builder->graph->nodes.count; i++) {
        struct map_node *node = &builder->graph->nodes.items[i];
        if (node->is_service) {
            judge_service(builder, i, &verdicts[i]);
        } else {
            judge_type(builder, node, &verdicts[i]);
        }
    }
    free(verdicts);
}
