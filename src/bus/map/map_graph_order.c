#include "bus/map/map_graph_inside.h"

#include <stdlib.h>
#include <string.h>

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
void map_graph_sort(struct map_graph *graph)
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

/* Services of which nothing is shown are left out; only sorted lists are complete here. */
void map_graph_drop_lonely(struct map_graph *graph)
{
    size_t count = graph->nodes.count, kept = 0;
    size_t *moved = mem_new_array(size_t, count + 1);
    for (size_t i = 0; i < count; i++) {
        moved[i] = graph->nodes.items[i].is_service ? MAP_NONE : 0;
    }
    for (size_t i = 0; i < graph->edges.count; i++) {
        moved[graph->edges.items[i].from] = moved[graph->edges.items[i].to] = 0;
    }
    for (size_t i = 0; i < count; i++) {
        struct map_node *node = &graph->nodes.items[i];
        if (moved[i] == MAP_NONE) {
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

/* Where the first edge is that is not before all of this kind and node. */
static size_t first_edge(const struct map_graph *graph, enum map_edge_kind kind, size_t from)
{
    struct map_edge wanted = {.kind = kind, .from = from};
    size_t low = 0, high = graph->edges.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_edges(&graph->edges.items[middle], &wanted) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const struct map_edge *map_graph_edges(const struct map_graph *graph, enum map_edge_kind kind,
                                       size_t from, size_t *count)
{
    size_t first = first_edge(graph, kind, from);
    *count = first_edge(graph, kind, from + 1) - first;
    return *count > 0 ? &graph->edges.items[first] : NULL;
}
