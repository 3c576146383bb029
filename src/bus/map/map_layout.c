#include "bus/map/map_layout.h"

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

/* Where no service is first, neither is an empty column. */
static void close_first(struct map_graph *graph)
{
    int least = MAP_RANKS_MAX;
    for (size_t i = 0; i < graph->nodes.count; i++) {
        least = graph->nodes.items[i].rank < least ? graph->nodes.items[i].rank : least;
    }
    for (size_t i = 0; i < graph->nodes.count; i++) {
        graph->nodes.items[i].rank -= least;
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
    close_first(graph);
    free(walk.first);
    free(walk.out);
    free(walk.state);
    free(walk.is_back);
}

/* --- order within a column --- */

/* A place in a column: a node, or a line that goes past to a column behind. */
struct slot {
    size_t node; /* SIZE_MAX: a line */
    size_t edge; /* the line's */
    int rank, place;
    double y;
    double sum; /* of what it is joined with, for the sweep on hand */
    int joined;
};

/* From a slot to one in the next column. */
struct link {
    size_t from, to;
};

struct rank {
    VEC(size_t) slots;
    double height;
};

struct sheet {
    struct map_graph *graph;
    VEC(struct slot) slots; /* nodes first, by their index */
    VEC(struct link) links;
    struct rank ranks[MAP_RANKS_MAX];
    int count;
};

static double height_of(const struct slot *slot)
{
    return slot->node == SIZE_MAX ? MAP_LINE_HEIGHT : MAP_NODE_HEIGHT + MAP_ROW_GAP;
}

static size_t add_slot(struct sheet *sheet, size_t node, size_t edge, int rank)
{
    size_t index = sheet->slots.count;
    vec_push(&sheet->slots, (struct slot){.node = node, .edge = edge, .rank = rank});
    vec_push(&sheet->ranks[rank].slots, index);
    sheet->count = rank + 1 > sheet->count ? rank + 1 : sheet->count;
    return index;
}

/* Each line that goes on to the right, through all columns between. */
static void add_line(struct sheet *sheet, size_t index)
{
    const struct map_edge *edge = &sheet->graph->edges.items[index];
    const struct map_node *from = &sheet->graph->nodes.items[edge->from];
    const struct map_node *to = &sheet->graph->nodes.items[edge->to];
    size_t at = edge->from;
    if (!counts(edge) || from->rank >= to->rank) {
        return;
    }
    for (int rank = from->rank + 1; rank < to->rank; rank++) {
        size_t slot = add_slot(sheet, SIZE_MAX, index, rank);
        vec_push(&sheet->links, (struct link){at, slot});
        at = slot;
    }
    vec_push(&sheet->links, (struct link){at, edge->to});
}

/* Rows one below the other, each column in the middle of the highest one. */
static void set_rows(struct sheet *sheet)
{
    double most = 0;
    for (int r = 0; r < sheet->count; r++) {
        struct rank *rank = &sheet->ranks[r];
        rank->height = 0;
        for (size_t i = 0; i < rank->slots.count; i++) {
            rank->height += height_of(&sheet->slots.items[rank->slots.items[i]]);
        }
        most = rank->height > most ? rank->height : most;
    }
    for (int r = 0; r < sheet->count; r++) {
        struct rank *rank = &sheet->ranks[r];
        double y = MAP_HEAD + MAP_MARGIN + (most - rank->height) / 2;
        for (size_t i = 0; i < rank->slots.count; i++) {
            struct slot *slot = &sheet->slots.items[rank->slots.items[i]];
            slot->place = (int)i;
            slot->y = y + height_of(slot) / 2;
            y += height_of(slot);
        }
    }
    sheet->graph->height = MAP_HEAD + 2 * MAP_MARGIN + (most > 0 ? most : MAP_NODE_HEIGHT);
}

struct weight {
    double middle; /* of what it is joined with on one side */
    size_t slot;
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

/* Each slot of the column goes to the middle of those that it is joined with on one side. */
static void sweep(struct sheet *sheet, int r, bool is_to_the_right)
{
    struct rank *rank = &sheet->ranks[r];
    struct weight *weights = mem_new_array(struct weight, rank->slots.count + 1);
    for (size_t i = 0; i < rank->slots.count; i++) {
        struct slot *slot = &sheet->slots.items[rank->slots.items[i]];
        slot->sum = slot->joined = 0;
    }
    for (size_t i = 0; i < sheet->links.count; i++) {
        const struct link *link = &sheet->links.items[i];
        struct slot *slot = &sheet->slots.items[is_to_the_right ? link->to : link->from];
        if (slot->rank == r) {
            slot->sum += sheet->slots.items[is_to_the_right ? link->from : link->to].y;
            slot->joined++;
        }
    }
    for (size_t i = 0; i < rank->slots.count; i++) {
        const struct slot *slot = &sheet->slots.items[rank->slots.items[i]];
        double middle = slot->joined > 0 ? slot->sum / slot->joined : slot->y;
        weights[i] = (struct weight){middle, rank->slots.items[i], (int)i};
    }
    if (rank->slots.count > 1) {
        qsort(weights, rank->slots.count, sizeof *weights, compare_weights);
    }
    for (size_t i = 0; i < rank->slots.count; i++) {
        rank->slots.items[i] = weights[i].slot;
    }
    free(weights);
}

/* --- all of it --- */

static double column_x(int rank)
{
    return MAP_MARGIN + MAP_NODE_WIDTH / 2.0 + rank * (MAP_NODE_WIDTH + MAP_COLUMN_GAP);
}

static void tell_places(struct sheet *sheet)
{
    struct map_graph *graph = sheet->graph;
    for (size_t i = 0; i < sheet->slots.count; i++) {
        const struct slot *slot = &sheet->slots.items[i];
        if (slot->node == SIZE_MAX) {
            struct map_edge *edge = &graph->edges.items[slot->edge];
            edge->past[edge->past_count++] = slot->y;
            continue;
        }
        graph->nodes.items[slot->node].place = slot->place;
        graph->nodes.items[slot->node].x = column_x(slot->rank);
        graph->nodes.items[slot->node].y = slot->y;
    }
    graph->ranks = sheet->count;
    graph->width = 2 * MAP_MARGIN + sheet->count * MAP_NODE_WIDTH +
                   (sheet->count > 0 ? sheet->count - 1 : 0) * (double)MAP_COLUMN_GAP;
}

void map_layout(struct map_graph *graph)
{
    struct sheet sheet = {.graph = graph};
    make_columns(graph);
    for (size_t i = 0; i < graph->nodes.count; i++) {
        (void)add_slot(&sheet, i, 0, graph->nodes.items[i].rank);
    }
    for (size_t i = 0; i < graph->edges.count; i++) {
        graph->edges.items[i].past_count = 0;
        add_line(&sheet, i);
    }
    set_rows(&sheet);
    for (int s = 0; s < SWEEPS; s++) {
        bool is_to_the_right = s % 2 == 0;
        for (int r = 1; r < sheet.count; r++) {
            sweep(&sheet, is_to_the_right ? r : sheet.count - 1 - r, is_to_the_right);
            set_rows(&sheet);
        }
    }
    tell_places(&sheet);
    for (int r = 0; r < MAP_RANKS_MAX; r++) {
        vec_deinit(&sheet.ranks[r].slots);
    }
    vec_deinit(&sheet.slots);
    vec_deinit(&sheet.links);
}
