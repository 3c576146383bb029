#include "bus/map/map_graph.h"

#include "bus/map/map_services.h"

enum {
    NEW_MS = 60 * 60 * 1000,
    FIRST_LOOK_MS = 60 * 1000, /* what is seen so soon after the beginning was there before */
    IDLE_FLOOR_MS = 15000,
    STUCK_MS = 60000,
    ERROR_MS = 5 * 60 * 1000,
    FORGET_MS = 7 * 24 * 60 * 60 * 1000,
};

static const size_t NONE = SIZE_MAX;

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

/* --- what is needed only while it is made --- */

struct place {
    UT_hash_handle hh;
    size_t index;
};

struct type_rate {
    size_t node;
    double rate;
};

struct topic {
    UT_hash_handle hh;
    VEC(struct type_rate) types;
};

/* Whether anybody of a group is there, as its connections tell it. */
struct group {
    UT_hash_handle hh;
    bool is_known, is_connected;
    int64_t left_ms;
};

/* Whether anybody of a service is there, from all that is known of it. */
struct presence {
    bool is_known, is_there, by_session;
    int64_t left_ms;
};

struct builder {
    struct map_graph *graph;
    const struct map_view *view;
    const struct map_facts *facts;
    struct map_services *services;
    struct place *types, *edges; /* by kind and name; by kind, from, to */
    struct topic *topics;
    struct group *groups;
    struct presence *presences; /* of each service */
    VEC(double) by_clients;     /* of each edge: what clients fetch, beside what groups commit */
};

static void free_places(struct place **places)
{
    struct place *place, *next;
    HASH_ITER (hh, *places, place, next) {
        HASH_DEL(*places, place);
        free(place);
    }
}

static void free_builder(struct builder *builder)
{
    struct topic *topic, *next;
    struct group *group, *next_group;
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
    vec_deinit(&builder->by_clients);
}

/* A place in memory that stays, keyed by these bytes; *is_new: its index is to be set. */
static struct place *reach_place(struct builder *builder, struct place **places, const void *key,
                                 size_t size, bool *is_new)
{
    struct place *place;
    HASH_FIND(hh, *places, key, size, place);
    *is_new = place == NULL;
    if (place == NULL) {
        place = mem_new(struct place);
        HASH_ADD_KEYPTR(hh, *places, arena_dup(&builder->graph->arena, key, size), size, place);
    }
    return place;
}

static void widen(int64_t *first_ms, int64_t *last_ms, const struct map_fact *fact)
{
    if (fact->first_ms > 0 && (*first_ms == 0 || fact->first_ms < *first_ms)) {
        *first_ms = fact->first_ms;
    }
    if (fact->last_ms > *last_ms) {
        *last_ms = fact->last_ms;
    }
}

/* --- types and topics --- */

static size_t add_type(struct builder *builder, struct slice name, bool is_topic)
{
    struct map_graph *graph = builder->graph;
    if (graph->nodes.count >= MAP_NODES_MAX) {
        graph->left_out++;
        return NONE;
    }
    struct map_node *node = vec_add(&graph->nodes);
    node->is_topic = is_topic;
    node->name = arena_cstr(&graph->arena, name);
    node->id = arena_sprintf(&graph->arena, "%s:%s", is_topic ? "topic" : "type", node->name);
    node->members = node->connections = -1;
    return graph->nodes.count - 1;
}

static size_t reach_type(struct builder *builder, struct slice name, bool is_topic)
{
    uint8_t key[1 + MAP_NAME_BYTES];
    bool is_new;
    key[0] = is_topic;
    if (name.size > 0) {
        memcpy(key + 1, name.data, name.size);
    }
    struct place *place = reach_place(builder, &builder->types, key, name.size + 1, &is_new);
    if (is_new) {
        place->index = add_type(builder, name, is_topic);
    }
    return place->index;
}

static struct topic *reach_topic(struct builder *builder, struct slice name)
{
    struct topic *topic;
    name = slice_is_null(name) ? slice_str("") : name;
    HASH_FIND(hh, builder->topics, name.data, name.size, topic);
    if (topic == NULL) {
        topic = mem_new(struct topic);
        HASH_ADD_KEYPTR(hh, builder->topics,
                        arena_dup(&builder->graph->arena, name.data, name.size), name.size, topic);
    }
    return topic;
}

static void topic_carries(struct builder *builder, struct slice topic_name, size_t node,
                          double rate)
{
    struct topic *topic = reach_topic(builder, topic_name);
    for (size_t i = 0; i < topic->types.count; i++) {
        if (topic->types.items[i].node == node) {
            return;
        }
    }
    vec_push(&topic->types, (struct type_rate){node, rate});
    const char *name = arena_cstr(&builder->graph->arena, topic_name);
    vec_push(&builder->graph->nodes.items[node].topics, name);
}

static void take_carried(struct builder *builder, const struct map_fact *fact)
{
    bool is_topic = slice_is_null(fact->is.type);
    size_t index = reach_type(builder, is_topic ? fact->is.topic : fact->is.type, is_topic);
    if (index != NONE) {
        struct map_node *node = &builder->graph->nodes.items[index];
        node->rate += fact->rate;
        widen(&node->first_ms, &node->last_ms, fact);
        topic_carries(builder, fact->is.topic, index, fact->rate);
    }
}

/* What a topic carries; a topic of which no event was seen is a node itself. */
static struct topic *types_of(struct builder *builder, struct slice name)
{
    struct topic *topic = reach_topic(builder, name);
    if (topic->types.count == 0) {
        size_t index = reach_type(builder, name, true);
        if (index != NONE) {
            topic_carries(builder, name, index, 0);
        }
    }
    return topic;
}

/* --- edges --- */

static struct map_edge *reach_edge(struct builder *builder, enum map_edge_kind kind, size_t from,
                                   size_t to)
{
    const size_t key[] = {(size_t)kind, from, to};
    struct map_graph *graph = builder->graph;
    bool is_new;
    if (from == NONE || to == NONE) {
        return NULL;
    }
    struct place *place = reach_place(builder, &builder->edges, key, sizeof key, &is_new);
    if (is_new && graph->edges.count >= MAP_EDGES_MAX) {
        graph->left_out++;
        place->index = NONE;
    } else if (is_new) {
        place->index = graph->edges.count;
        *vec_add(&graph->edges) =
            (struct map_edge){.kind = kind, .from = from, .to = to, .lag = -1};
        vec_push(&builder->by_clients, 0);
    }
    return place->index == NONE ? NULL : &graph->edges.items[place->index];
}

/* Whether its events themselves say that the service publishes the type. */
static bool says_so(struct builder *builder, size_t service, size_t type)
{
    const size_t key[] = {MAP_EDGE_PUBLISHES, service, type};
    struct place *place;
    HASH_FIND(hh, builder->edges, key, sizeof key, place);
    return place != NULL && place->index != NONE &&
           builder->graph->edges.items[place->index].is_by_event;
}

static void add_flow(struct map_edge *edge, const struct map_fact *fact, double share)
{
    edge->rate += fact->rate * share;
    edge->byte_rate += fact->byte_rate * share;
    edge->events += fact->events;
    if (fact->gap_ms > 0 && (edge->gap_ms == 0 || fact->gap_ms < edge->gap_ms)) {
        edge->gap_ms = fact->gap_ms;
    }
    widen(&edge->first_ms, &edge->last_ms, fact);
}

/* What part of a topic's events are of one of its types. */
static double share_of(const struct topic *topic, size_t index)
{
    double sum = 0;
    for (size_t i = 0; i < topic->types.count; i++) {
        sum += topic->types.items[i].rate;
    }
    return sum > 0 ? topic->types.items[index].rate / sum : 1.0 / (double)topic->types.count;
}

static void publishes_type(struct builder *builder, size_t service, const struct map_fact *fact)
{
    size_t type = reach_type(builder, fact->is.type, false);
    struct map_edge *edge = reach_edge(builder, MAP_EDGE_PUBLISHES, service, type);
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
static void publishes_topic(struct builder *builder, size_t service, const struct map_fact *fact)
{
    struct topic *topic = types_of(builder, fact->is.topic);
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
        struct map_edge *edge = reach_edge(builder, MAP_EDGE_PUBLISHES, service, type);
        if (edge != NULL) {
            add_flow(edge, fact, share_of(topic, i));
            if (!is_open || topic->types.count > 1) {
                edge->inferred = "it produces to the topic";
            }
        }
    }
}

static void consumes(struct builder *builder, size_t service, const struct map_fact *fact)
{
    struct topic *topic = types_of(builder, fact->is.topic);
    bool is_group = !slice_is_null(fact->is.names[MAP_GROUP]);
    for (size_t i = 0; i < topic->types.count; i++) {
        size_t type = topic->types.items[i].node;
        struct map_edge *edge = reach_edge(builder, MAP_EDGE_CONSUMES, type, service);
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

static void causes(struct builder *builder, const struct map_fact *fact)
{
    if (slice_is_null(fact->is.other)) {
        return;
    }
    struct map_fact_key base_key = {.kind = MAP_CAUSES, .type = fact->is.type};
    const struct map_fact *base = map_facts_find(builder->facts, &base_key);
    size_t from = reach_type(builder, fact->is.type, false);
    size_t to = reach_type(builder, fact->is.other, false);
    struct map_edge *edge = reach_edge(builder, MAP_EDGE_CAUSES, from, to);
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

/* --- who is there --- */

static struct group *find_group(const struct builder *builder, struct slice name)
{
    struct group *group = NULL;
    if (slice_is_null(name)) {
        return NULL; /* an empty name is one */
    }
    HASH_FIND(hh, builder->groups, name.data, name.size, group);
    return group;
}

static void note_group(struct builder *builder, const struct map_fact *fact)
{
    struct slice name = fact->is.names[MAP_GROUP];
    struct group *group = find_group(builder, name);
    if (fact->is.kind != MAP_JOINED || fact->connections < 0 || slice_is_null(name)) {
        return;
    }
    if (group == NULL) {
        group = mem_new(struct group);
        HASH_ADD_KEYPTR(hh, builder->groups, name.data, name.size, group);
    }
    group->is_known = true;
    group->is_connected = group->is_connected || fact->connections > 0;
    group->left_ms = fact->left_ms > group->left_ms ? fact->left_ms : group->left_ms;
}

/* Whether this fact's group is still there; false in *is_known: nothing tells. */
static struct presence presence_of_group(const struct builder *builder, const struct map_fact *fact)
{
    struct group *group = find_group(builder, fact->is.names[MAP_GROUP]);
    struct presence presence = {.is_known = fact->members >= 0, .is_there = fact->members > 0};
    presence.by_session = fact->members == 0;
    presence.left_ms = fact->left_by_session_ms;
    if (group != NULL && group->is_known && !group->is_connected && !presence.by_session) {
        presence = (struct presence){true, false, false, group->left_ms};
    }
    return presence;
}

static struct presence presence_of(const struct builder *builder, const struct map_fact *fact)
{
    if (fact->is.kind == MAP_CONSUMES && !slice_is_null(fact->is.names[MAP_GROUP])) {
        return presence_of_group(builder, fact);
    }
    return (struct presence){.is_known = fact->connections >= 0,
                             .is_there = fact->connections > 0,
                             .left_ms = fact->left_ms};
}

static void note_presence(struct builder *builder, size_t service, const struct map_fact *fact)
{
    struct map_node *node = &builder->graph->nodes.items[service];
    struct presence *all = &builder->presences[service];
    struct presence one = presence_of(builder, fact);
    widen(&node->first_ms, &node->last_ms, fact);
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

static bool is_new(const struct builder *builder, int64_t first_ms)
{
    return first_ms > builder->facts->began_ms + FIRST_LOOK_MS &&
           builder->view->now_ms - first_ms < NEW_MS;
}

static enum map_state quiet_state(const struct builder *builder, int64_t first_ms, int64_t last_ms,
                                  int64_t gap_ms)
{
    int64_t idle_ms = 3 * gap_ms > IDLE_FLOOR_MS ? 3 * gap_ms : IDLE_FLOOR_MS;
    if (is_new(builder, first_ms)) {
        return MAP_NEW;
    }
    return builder->view->now_ms - last_ms > idle_ms ? MAP_IDLE : MAP_FRESH;
}

static void set_failing(struct builder *builder, struct map_edge *edge, const struct map_fact *fact)
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
static void judge_group(struct builder *builder, size_t service, const struct map_fact *fact)
{
    struct presence presence = presence_of_group(builder, fact);
    struct topic *topic = types_of(builder, fact->is.topic);
    for (size_t i = 0; i < topic->types.count; i++) {
        struct map_edge *edge =
            reach_edge(builder, MAP_EDGE_CONSUMES, topic->types.items[i].node, service);
        if (edge == NULL) {
            continue;
        }
        if (presence.is_known && !presence.is_there) {
            edge->state = edge->state == MAP_STATES ? MAP_GONE : edge->state;
            edge->why = edge->state == MAP_GONE ? why_gone(presence.by_session) : edge->why;
        } else if (presence.is_there) {
            edge->state = quiet_state(builder, edge->first_ms, edge->last_ms, edge->gap_ms);
            edge->why = NULL;
            set_failing(builder, edge, fact);
        }
    }
}

static bool is_live_service(const struct builder *builder, size_t service)
{
    const struct presence *presence = &builder->presences[service];
    return !presence->is_known || presence->is_there;
}

static void judge_edges(struct builder *builder)
{
    for (size_t i = 0; i < builder->graph->edges.count; i++) {
        struct map_edge *edge = &builder->graph->edges.items[i];
        size_t service = edge->kind == MAP_EDGE_PUBLISHES  ? edge->from
                         : edge->kind == MAP_EDGE_CONSUMES ? edge->to
                                                           : NONE;
        if (edge->state == MAP_STATES) {
            edge->state = quiet_state(builder, edge->first_ms, edge->last_ms, edge->gap_ms);
        }
        if (service != NONE && !builder->view->is_past && edge->state != MAP_GONE &&
            !is_live_service(builder, service)) {
            edge->state = MAP_GONE;
            edge->why = why_gone(builder->presences[service].by_session);
        }
        if (builder->by_clients.items[i] > edge->rate) {
            edge->rate = builder->by_clients.items[i];
        }
    }
}

/* Of a service or type by its edges: failing if one is, new or fresh by what is the best. */
static void judge_node(struct builder *builder, size_t index)
{
    static const int order[MAP_STATES] = {
        [MAP_GONE] = 0, [MAP_IDLE] = 1, [MAP_FRESH] = 2, [MAP_NEW] = 3, [MAP_FAILING] = 4};
    struct map_node *node = &builder->graph->nodes.items[index];
    enum map_state best = MAP_GONE;
    bool has_edges = false;
    for (size_t i = 0; i < builder->graph->edges.count; i++) {
        const struct map_edge *edge = &builder->graph->edges.items[i];
        bool is_its = node->is_service ? edge->from == index || edge->to == index
                                       : edge->kind == MAP_EDGE_PUBLISHES && edge->to == index;
        if (!is_its) {
            continue;
        }
        has_edges = true;
        node->rate += node->is_service && edge->from == index ? edge->rate : 0;
        if (order[edge->state] > order[best]) {
            best = edge->state;
            node->why = edge->why;
        }
    }
    node->state = has_edges ? best : MAP_IDLE;
    if (!node->is_service) { /* that its publishers are gone makes no event gone */
        enum map_state own = quiet_state(builder, node->first_ms, node->last_ms, 0);
        node->state = own == MAP_NEW ? MAP_NEW : best == MAP_FRESH ? MAP_FRESH : own;
        node->why = NULL;
    } else if (node->state != MAP_NEW && is_new(builder, node->first_ms) && best != MAP_FAILING &&
               best != MAP_GONE) {
        node->state = MAP_NEW;
    }
    if (node->is_service && !builder->view->is_past && !is_live_service(builder, index)) {
        node->state = MAP_GONE;
        node->why = why_gone(builder->presences[index].by_session);
        node->left_ms = builder->presences[index].left_ms;
    }
}

/* --- order --- */

static int compare_nodes(const void *a, const void *b)
{
    const struct map_node *x = a, *y = b;
    if (x->is_service != y->is_service) {
        return x->is_service ? -1 : 1;
    }
    if (x->is_topic != y->is_topic) {
        return x->is_topic ? 1 : -1;
    }
    return strcmp(x->name, y->name);
}

static int compare_edges(const void *a, const void *b)
{
    const struct map_edge *x = a, *y = b;
    if (x->kind != y->kind) {
        return x->kind < y->kind ? -1 : 1;
    }
    if (x->from != y->from) {
        return x->from < y->from ? -1 : 1;
    }
    return (x->to > y->to) - (x->to < y->to);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The same facts, met in another order, give the same graph. */
static void sort_graph(struct map_graph *graph)
{
    size_t count = graph->nodes.count;
    size_t *moved = mem_new_array(size_t, count + 1);
    for (size_t i = 0; i < count; i++) {
        struct map_names *topics = &graph->nodes.items[i].topics;
        graph->nodes.items[i].place = (int)i;
        if (topics->count > 1) {
            qsort(topics->items, topics->count, sizeof *topics->items, compare_names);
        }
    }
    if (count > 1) {
        qsort(graph->nodes.items, count, sizeof *graph->nodes.items, compare_nodes);
    }
    for (size_t i = 0; i < count; i++) {
        moved[graph->nodes.items[i].place] = i;
        graph->nodes.items[i].place = 0;
    }
    for (size_t i = 0; i < graph->edges.count; i++) {
        graph->edges.items[i].from = moved[graph->edges.items[i].from];
        graph->edges.items[i].to = moved[graph->edges.items[i].to];
    }
    if (graph->edges.count > 1) {
        qsort(graph->edges.items, graph->edges.count, sizeof *graph->edges.items, compare_edges);
    }
    free(moved);
}

/* --- all of it --- */

static void add_services(struct builder *builder)
{
    struct map_graph *graph = builder->graph;
    size_t count = map_services_count(builder->services);
    for (size_t i = 0; i < count && i < MAP_SERVICES_MAX; i++) {
        struct map_service *service = map_services_item(builder->services, i);
        struct map_node *node = vec_add(&graph->nodes);
        node->is_service = true;
        node->name = service->name;
        node->id = arena_sprintf(&graph->arena, "service:%s", service->name);
        node->members = node->connections = -1;
        if (map_services_is_guess(builder->services, i)) {
            node->guess = "its client is the only one that produces to a topic of its source";
        }
        memcpy(node->names, service->names, sizeof node->names);
        memset(service->names, 0, sizeof service->names);
    }
    graph->left_out += count > MAP_SERVICES_MAX ? count - MAP_SERVICES_MAX : 0;
    builder->presences = mem_new_array(struct presence, count + 1);
}

/* Those that nobody was heard of for long are of the past. */
static bool is_forgotten(const struct builder *builder, const struct map_fact *fact)
{
    int64_t heard_ms = fact->last_ms > fact->left_ms ? fact->last_ms : fact->left_ms;
    heard_ms = heard_ms > fact->first_ms ? heard_ms : fact->first_ms;
    bool is_there = fact->connections > 0 || fact->members > 0;
    return !is_there && heard_ms > 0 && builder->view->now_ms - heard_ms > FORGET_MS;
}

typedef void each_fact(struct builder *builder, size_t service, const struct map_fact *fact);

/* Calls it for the facts of a kind that are of services. */
static void for_each(struct builder *builder, unsigned kinds, each_fact *each)
{
    for (const struct map_fact *fact = builder->facts->by_key; fact != NULL; fact = fact->hh.next) {
        size_t service = NONE;
        if ((kinds & (1U << fact->is.kind)) != 0 && !is_forgotten(builder, fact)) {
            service = map_services_of(builder->services, &fact->is);
        }
        if (service < MAP_SERVICES_MAX) {
            each(builder, service, fact);
        }
    }
}

static void each_publishes_type(struct builder *builder, size_t service,
                                const struct map_fact *fact)
{
    if (!slice_is_null(fact->is.type)) {
        publishes_type(builder, service, fact);
    }
}

static void each_publishes_topic(struct builder *builder, size_t service,
                                 const struct map_fact *fact)
{
    if (slice_is_null(fact->is.type)) {
        publishes_topic(builder, service, fact);
    }
}

static void each_judge_group(struct builder *builder, size_t service, const struct map_fact *fact)
{
    if (!slice_is_null(fact->is.names[MAP_GROUP]) && !builder->view->is_past) {
        judge_group(builder, service, fact);
    }
}

/* Services of which nothing is shown are left out; only sorted lists are complete here. */
static void drop_lonely(struct map_graph *graph)
{
    size_t count = graph->nodes.count, kept = 0;
    size_t *moved = mem_new_array(size_t, count + 1);
    for (size_t i = 0; i < count; i++) {
        moved[i] = graph->nodes.items[i].is_service ? NONE : 0;
    }
    for (size_t i = 0; i < graph->edges.count; i++) {
        moved[graph->edges.items[i].from] = moved[graph->edges.items[i].to] = 0;
    }
    for (size_t i = 0; i < count; i++) {
        struct map_node *node = &graph->nodes.items[i];
        if (moved[i] == NONE) {
            for (int kind = 0; kind < MAP_NAMES; kind++) {
                vec_deinit(&node->names[kind]);
            }
            vec_deinit(&node->topics);
            continue;
        }
        moved[i] = kept;
        graph->nodes.items[kept++] = *node;
    }
    graph->nodes.count = kept;
    for (size_t i = 0; i < graph->edges.count; i++) {
        graph->edges.items[i].from = moved[graph->edges.items[i].from];
        graph->edges.items[i].to = moved[graph->edges.items[i].to];
    }
    free(moved);
}

static void build(struct builder *builder)
{
    enum { PUBLISHES = 1U << MAP_PUBLISHES, CONSUMES = 1U << MAP_CONSUMES };
    add_services(builder);
    for (const struct map_fact *fact = builder->facts->by_key; fact != NULL; fact = fact->hh.next) {
        if (fact->is.kind == MAP_CARRIES && !is_forgotten(builder, fact)) {
            take_carried(builder, fact);
        }
        note_group(builder, fact);
    }
    for_each(builder, PUBLISHES, each_publishes_type);
    for_each(builder, PUBLISHES, each_publishes_topic);
    for_each(builder, CONSUMES, consumes);
    for_each(builder, PUBLISHES | CONSUMES | 1U << MAP_JOINED, note_presence);
    for (const struct map_fact *fact = builder->facts->by_key; fact != NULL; fact = fact->hh.next) {
        if (fact->is.kind == MAP_CAUSES && !is_forgotten(builder, fact)) {
            causes(builder, fact);
        }
    }
    for (size_t i = 0; i < builder->graph->edges.count; i++) {
        builder->graph->edges.items[i].state = MAP_STATES;
    }
    for_each(builder, CONSUMES, each_judge_group);
    judge_edges(builder);
    for (size_t i = 0; i < builder->graph->nodes.count; i++) {
        judge_node(builder, i);
    }
}

void map_graph_build(const struct map_facts *facts, const struct map_view *view,
                     struct map_graph *graph)
{
    *graph = (struct map_graph){.at_ms = view->now_ms,
                                .began_ms = facts->began_ms,
                                .left_out = facts->left_out,
                                .has_observer = facts->has_observer};
    memcpy(graph->groups_error, facts->groups_error, sizeof graph->groups_error);
    struct builder builder = {.graph = graph, .view = view, .facts = facts};
    builder.services = map_services_new(facts, view->rules, &graph->arena);
    build(&builder);
    free_builder(&builder);
    drop_lonely(graph);
    sort_graph(graph);
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
