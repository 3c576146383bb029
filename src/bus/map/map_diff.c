#include "bus/map/map_graph.h"

struct by_name {
    UT_hash_handle hh;
    const char *key;
    const void *item;
};

static void put(struct by_name **table, const char *key, const void *item)
{
    struct by_name *entry = mem_new(struct by_name);
    entry->key = key;
    entry->item = item;
    HASH_ADD_KEYPTR(hh, *table, entry->key, strlen(entry->key), entry);
}

static const void *get(struct by_name *table, const char *key)
{
    struct by_name *entry;
    HASH_FIND(hh, table, key, strlen(key), entry);
    return entry != NULL ? entry->item : NULL;
}

static void clear(struct by_name **table)
{
    struct by_name *entry, *next;
    HASH_ITER (hh, *table, entry, next) {
        HASH_DEL(*table, entry);
        free(entry);
    }
}

/* What an edge is found by in the other graph: its word and the ids of its ends, each with its
 * size, since a name can hold anything. */
static const char *edge_key(const struct map_graph *graph, const struct map_edge *edge,
                            struct arena *arena)
{
    const char *from = graph->nodes.items[edge->from].id;
    const char *to = graph->nodes.items[edge->to].id;
    return arena_sprintf(arena, "%d %zu %s %s", (int)edge->kind, strlen(from), from, to);
}

static struct by_name *index_nodes(const struct map_graph *graph)
{
    struct by_name *table = NULL;
    for (size_t i = 0; i < graph->nodes.count; i++) {
        put(&table, graph->nodes.items[i].id, &graph->nodes.items[i]);
    }
    return table;
}

static struct by_name *index_edges(const struct map_graph *graph, struct arena *arena)
{
    struct by_name *table = NULL;
    for (size_t i = 0; i < graph->edges.count; i++) {
        const struct map_edge *edge = &graph->edges.items[i];
        put(&table, edge_key(graph, edge, arena), edge);
    }
    return table;
}

static bool is_other(const struct map_edge *now, const struct map_edge *then)
{
    double more = now->rate > then->rate ? now->rate : then->rate;
    double less = now->rate > then->rate ? then->rate : now->rate;
    bool is_gone = (now->state == MAP_GONE) != (then->state == MAP_GONE);
    return is_gone || (more >= 0.01 && more >= 3 * less);
}

static void diff_nodes(const struct map_graph *now, const struct map_graph *then,
                       map_diff_seen *seen, void *context)
{
    struct by_name *table_then = index_nodes(then), *table_now = index_nodes(now);
    for (size_t i = 0; i < now->nodes.count; i++) {
        const struct map_node *node = &now->nodes.items[i];
        if (get(table_then, node->id) == NULL) {
            seen(context, MAP_ADDED, node, NULL, NULL, NULL);
        }
    }
    for (size_t i = 0; i < then->nodes.count; i++) {
        const struct map_node *node = &then->nodes.items[i];
        if (get(table_now, node->id) == NULL) {
            seen(context, MAP_REMOVED, NULL, node, NULL, NULL);
        }
    }
    clear(&table_then);
    clear(&table_now);
}

static void diff_edges(const struct map_graph *now, const struct map_graph *then,
                       map_diff_seen *seen, void *context)
{
    struct arena arena = {0};
    struct by_name *table_then = index_edges(then, &arena), *table_now = index_edges(now, &arena);
    for (size_t i = 0; i < now->edges.count; i++) {
        const struct map_edge *edge = &now->edges.items[i];
        const struct map_edge *before = get(table_then, edge_key(now, edge, &arena));
        if (before == NULL) {
            seen(context, MAP_ADDED, NULL, NULL, edge, NULL);
        } else if (is_other(edge, before)) {
            seen(context, MAP_CHANGED, NULL, NULL, edge, before);
        }
    }
    for (size_t i = 0; i < then->edges.count; i++) {
        const struct map_edge *edge = &then->edges.items[i];
        if (get(table_now, edge_key(then, edge, &arena)) == NULL) {
            seen(context, MAP_REMOVED, NULL, NULL, NULL, edge);
        }
    }
    clear(&table_then);
    clear(&table_now);
    arena_deinit(&arena);
}

void map_graph_diff(const struct map_graph *now, const struct map_graph *then, map_diff_seen *seen,
                    void *context)
{
    diff_nodes(now, then, seen, context);
    diff_edges(now, then, seen, context);
}
