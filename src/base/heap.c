#include "base/heap.h"

#include "base/mem.h"

#include <stdlib.h>

void heap_deinit(struct heap *heap)
{
    free(heap->nodes);
    *heap = (struct heap){0};
}

static void place(struct heap *heap, struct heap_node *node, size_t at)
{
    heap->nodes[at] = node;
    node->slot = at + 1;
}

static void sift_up(struct heap *heap, struct heap_node *node, size_t at)
{
    while (at > 0) {
        size_t parent = (at - 1) / 2;
        if (heap->nodes[parent]->key <= node->key) {
            break;
        }
        place(heap, heap->nodes[parent], at);
        at = parent;
    }
    place(heap, node, at);
}

static void sift_down(struct heap *heap, struct heap_node *node, size_t at)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= heap->count) {
            break;
        }
        if (child + 1 < heap->count && heap->nodes[child + 1]->key < heap->nodes[child]->key) {
            child++;
        }
        if (heap->nodes[child]->key >= node->key) {
            break;
        }
        place(heap, heap->nodes[child], at);
        at = child;
    }
    place(heap, node, at);
}

void heap_set(struct heap *heap, struct heap_node *node, int64_t key)
{
    heap_remove(heap, node);
    if (heap->count == heap->capacity) {
        heap->capacity = heap->capacity ? heap->capacity * 2 : 16;
        heap->nodes = mem_realloc(heap->nodes, heap->capacity * sizeof(struct heap_node *));
    }
    node->key = key;
    sift_up(heap, node, heap->count++);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    if (!heap_has(node)) {
        return;
    }
    size_t at = node->slot - 1;
    node->slot = 0;
    struct heap_node *last = heap->nodes[--heap->count];
    if (last == node) {
        return;
    }
    if (at > 0 && heap->nodes[(at - 1) / 2]->key > last->key) {
        sift_up(heap, last, at);
    } else {
        sift_down(heap, last, at);
    }
}

struct heap_node *heap_least(const struct heap *heap)
{
    return heap->count ? heap->nodes[0] : NULL;
}
