#include "base/heap.h"

void heap_deinit(struct heap *heap)
{
    vec_deinit(&heap->nodes);
}

static void place(struct heap *heap, struct heap_node *node, size_t at)
{
    heap->nodes.items[at] = node;
    node->slot = at + 1;
}

static void sift_up(struct heap *heap, struct heap_node *node, size_t at)
{
    while (at > 0) {
        size_t parent = (at - 1) / 2;
        if (heap->nodes.items[parent]->key <= node->key) {
            break;
        }
        place(heap, heap->nodes.items[parent], at);
        at = parent;
    }
    place(heap, node, at);
}

static void sift_down(struct heap *heap, struct heap_node *node, size_t at)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= heap->nodes.count) {
            break;
        }
        if (child + 1 < heap->nodes.count &&
            heap->nodes.items[child + 1]->key < heap->nodes.items[child]->key) {
            child++;
        }
        if (heap->nodes.items[child]->key >= node->key) {
            break;
        }
        place(heap, heap->nodes.items[child], at);
        at = child;
    }
    place(heap, node, at);
}

void heap_set(struct heap *heap, struct heap_node *node, int64_t key)
{
    heap_remove(heap, node);
    node->key = key;
    vec_push(&heap->nodes, node);
    sift_up(heap, node, heap->nodes.count - 1);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    if (!heap_has(node)) {
        return;
    }
    size_t at = node->slot - 1;
    node->slot = 0;
    struct heap_node *last = heap->nodes.items[--heap->nodes.count];
    if (last == node) {
        return;
    }
    if (at > 0 && heap->nodes.items[(at - 1) / 2]->key > last->key) {
        sift_up(heap, last, at);
    } else {
        sift_down(heap, last, at);
    }
}

struct heap_node *heap_least(const struct heap *heap)
{
    return heap->nodes.count ? heap->nodes.items[0] : NULL;
}
