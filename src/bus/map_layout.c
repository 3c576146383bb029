#include "bus/map_layout.h"

enum { SWEEPS = 6 };

/* --- columns --- */

enum { UNSEEN, OPEN, DONE };

struct walk {
    const struct map_graph *graph;
    size_t *first; /* of each node, the place of its first edge in `out`; one more at the end */
    size_t *out;   /* edges, by node */
    char *state;
    char *is_back; /* edges that close a circle */
};

static bool counts(const struct map_edge *edge)
{
    return edge->kind != MAP_EDGE_CAUSES;
}

static void index_edges(struct walk *walk)
{
    const struct map_graph *graph = walk->graph;
    for (size_t i = 0; i < graph->edges.count; i++) {
        walk->first[graph->edges.items[i].from + 1] += counts(&graph->edges.items[i]);
    }
    for (size_t i = 0; i < graph->nodes.count; i++) {
        walk->first[i + 1] += walk->first[i];
    }
    size_t *next = mem_new_array(size_t, graph->nodes.count + 1);
    memcpy(next, walk->first, graph->nodes.count * sizeof *next);
    for (size_t i = 0; i < graph->edges.count; i++) {
        if (counts(&graph->edges.items[i])) {
            walk->out[next[graph->edges.items[i].from]++] = i;
        }
    }
    free(next);
}

/* Depth first from a node, with a stack of its own: a circle's last edge is marked. */
static void find_circles(struct walk *walk, size_t start)
{
    struct step {
        size_t node, next;
    };
    VEC(struct step) stack = {0};
    vec_push(&stack, (struct step){start, walk->first[start]});
    walk->state[start] = OPEN;
    while (stack.count > 0) {
        struct step *top = &stack.items[stack.count - 1];
        if (top->next == walk->first[top->node + 1]) {
            walk->state[top->node] = DONE;
            stack.count--;
            continue;
        }
        size_t edge = walk->out[top->next++];
        size_t to = walk->graph->edges.items[edge].to;
        if (walk->state[to] == OPEN) {
            walk->is_back[edge] = 1;
        } else if (walk->state[to] == UNSEEN) {
            walk->state[to] = OPEN;
            vec_push(&stack, (struct step){to, walk->first[to]});
        }
    }
    vec_deinit(&stack);
}

/* Services that consume nothing come first: there the flow begins. */
static void mark_circles(struct walk *walk)
{
    const struct map_graph *graph = walk->graph;
    char *has_in = mem_new_array(char, graph->nodes.count + 1);
    for (size_t i = 0; i < graph->edges.count; i++) {
        has_in[graph->edges.items[i].to] |= counts(&graph->edges.items[i]);
    }
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < graph->nodes.count; i++) {
            if (walk->state[i] == UNSEEN && (pass == 1 || !has_in[i])) {
                find_circles(walk, i);
            }
        }
    }
    free(has_in);
}

/* The longest way to each node, round by round; types of which nobody knows the publisher stand
 * where types stand. */
static void set_ranks(struct map_graph *graph, const struct walk *walk)
{
    for (size_t i = 0; i < graph->nodes.count; i++) {
        graph->nodes.items[i].rank = graph->nodes.items[i].is_service ? 0 : 1;
    }
    bool is_moving = true;
    for (int round = 0; is_moving && round < MAP_RANKS_MAX; round++) {
        is_moving = false;
        for (size_t i = 0; i < graph->edges.count; i++) {
            const struct map_edge *edge = &graph->edges.items[i];
            struct map_node *to = &graph->nodes.items[edge->to];
            int rank = graph->nodes.items[edge->from].rank + 1;
            if (counts(edge) && !walk->is_back[i] && to->rank < rank && rank < MAP_RANKS_MAX) {
                to->rank = rank;
                is_moving = true;
            }
        }
    }
}

static void make_columns(struct map_graph *graph)
{
    struct walk walk = {.graph = graph};
    walk.first = mem_new_array(size_t, graph->nodes.count + 2);
    walk.out = mem_new_array(size_t, graph->edges.count + 1);
    walk.state = mem_new_array(char, graph->nodes.count + 1);
    walk.is_back = mem_new_array(char, graph->edges.count + 1);
    index_edges(&walk);
    mark_circles(&walk);
    set_ranks(graph, &walk);
    free(walk.first);
    free(walk.out);
    free(walk.state);
    free(walk.is_back);
}

/* --- order within a column --- */

struct rank {
    VEC(size_t) nodes;
};

struct weight {
    double middle; /* of what it is joined with in the column before */
    size_t node;
    int place;
};

static int compare_weights(const void *a, const void *b)
{
    const struct weight *x = a, *y = b;
    if (x->middle != y->middle) {
        return x->middle < y->middle ? -1 : 1;
    }
    return (x->place > y->place) - (x->place < y->place);
}

/* Each node of the column goes to the middle of those that it is joined with on one side. */
static void sweep(struct map_graph *graph, struct rank *rank, bool is_to_the_right)
{
    struct weight *weights = mem_new_array(struct weight, rank->nodes.count + 1);
    double *sums = mem_new_array(double, graph->nodes.count + 1);
    int *counts_of = mem_new_array(int, graph->nodes.count + 1);
    for (size_t i = 0; i < graph->edges.count; i++) {
        const struct map_edge *edge = &graph->edges.items[i];
        const struct map_node *from = &graph->nodes.items[edge->from];
        const struct map_node *to = &graph->nodes.items[edge->to];
        size_t of = is_to_the_right ? edge->to : edge->from;
        if (counts(edge) && from->rank < to->rank) {
            sums[of] += is_to_the_right ? from->y : to->y;
            counts_of[of]++;
        }
    }
    for (size_t i = 0; i < rank->nodes.count; i++) {
        size_t node = rank->nodes.items[i];
        double middle =
            counts_of[node] > 0 ? sums[node] / counts_of[node] : graph->nodes.items[node].y;
        weights[i] = (struct weight){middle, node, (int)i};
    }
    if (rank->nodes.count > 1) {
        qsort(weights, rank->nodes.count, sizeof *weights, compare_weights);
    }
    for (size_t i = 0; i < rank->nodes.count; i++) {
        rank->nodes.items[i] = weights[i].node;
    }
    free(weights);
    free(sums);
    free(counts_of);
}

/* Rows of even distance, each column in the middle of the highest one. */
static void set_rows(struct map_graph *graph, const struct rank *ranks, int count)
{
    size_t most = 0;
    for (int r = 0; r < count; r++) {
        most = ranks[r].nodes.count > most ? ranks[r].nodes.count : most;
    }
    double row = MAP_NODE_HEIGHT + MAP_ROW_GAP;
    for (int r = 0; r < count; r++) {
        double top = (double)(most - ranks[r].nodes.count) * row / 2;
        for (size_t i = 0; i < ranks[r].nodes.count; i++) {
            struct map_node *node = &graph->nodes.items[ranks[r].nodes.items[i]];
            node->place = (int)i;
            node->x = MAP_MARGIN + MAP_NODE_WIDTH / 2.0 + r * (MAP_NODE_WIDTH + MAP_COLUMN_GAP);
            node->y = MAP_HEAD + MAP_MARGIN + MAP_NODE_HEIGHT / 2.0 + top + (double)i * row;
        }
    }
    graph->ranks = count;
    graph->width = 2 * MAP_MARGIN + count * MAP_NODE_WIDTH +
                   (count > 0 ? count - 1 : 0) * (double)MAP_COLUMN_GAP;
    graph->height = MAP_HEAD + 2 * MAP_MARGIN + (double)(most > 0 ? most : 1) * row - MAP_ROW_GAP;
}

void map_layout(struct map_graph *graph)
{
    struct rank ranks[MAP_RANKS_MAX] = {0};
    int count = 0;
    make_columns(graph);
    for (size_t i = 0; i < graph->nodes.count; i++) {
        int rank = graph->nodes.items[i].rank;
        vec_push(&ranks[rank].nodes, i);
        count = rank + 1 > count ? rank + 1 : count;
    }
    set_rows(graph, ranks, count);
    for (int s = 0; s < SWEEPS; s++) {
        bool is_to_the_right = s % 2 == 0;
        for (int r = 1; r < count; r++) {
            sweep(graph, &ranks[is_to_the_right ? r : count - 1 - r], is_to_the_right);
            set_rows(graph, ranks, count);
        }
    }
    for (int r = 0; r < count; r++) {
        vec_deinit(&ranks[r].nodes);
    }
}
