#include "bus/story/story_tree.h"

#include <stdlib.h>

static bool same_text(const char *a, const char *b)
{
    return a != NULL && b != NULL && a[0] != '\0' && strcmp(a, b) == 0;
}

static bool is_set(const char *text)
{
    return text != NULL && text[0] != '\0';
}

/* By time; what has one time by place, so that the order is always the same. */
static int compare(const struct story_event *a, const struct story_event *b)
{
    const struct event *left = &a->event, *right = &b->event;
    if (left->timestamp_ms != right->timestamp_ms) {
        return left->timestamp_ms < right->timestamp_ms ? -1 : 1;
    }
    int order = strcmp(left->topic, right->topic);
    if (order == 0) {
        order = (left->partition > right->partition) - (left->partition < right->partition);
    }
    return order != 0 ? order : (left->offset > right->offset) - (left->offset < right->offset);
}

static int compare_items(const void *a, const void *b)
{
    return compare(a, b);
}

/* --- parents; the events are in order of time --- */

static void hang(struct story *story, size_t child, size_t parent, enum story_link link,
                 enum story_evidence evidence, const char *note)
{
    struct story_event *event = &story->events.items[child];
    event->parent = parent;
    event->link = link;
    event->link_evidence = evidence;
    event->link_note = note;
}

static void find_copy(struct story *story, size_t index)
{
    struct story_event *items = story->events.items;
    for (size_t i = 0; i < index; i++) {
        if (same_text(items[i].attributes.id, items[index].attributes.id) &&
            same_text(items[i].attributes.source, items[index].attributes.source)) {
            items[index].copy_of = items[i].copy_of != STORY_NONE ? items[i].copy_of : i;
            return;
        }
    }
}

enum nearness { NOT_IT, OF_ANOTHER_CORRELATION, MAY_BE, OF_ONE_CORRELATION };

static enum nearness nearness(const struct story_event *child, const struct story_event *cause)
{
    const char *of_child = child->attributes.correlation_id;
    const char *of_cause = cause->attributes.correlation_id;
    if (!same_text(child->attributes.causation_id, cause->attributes.id)) {
        return NOT_IT;
    }
    if (same_text(of_child, of_cause)) {
        return OF_ONE_CORRELATION;
    }
    return is_set(of_child) && is_set(of_cause) ? OF_ANOTHER_CORRELATION : MAY_BE;
}

static bool hang_by_cause(struct story *story, size_t child)
{
    struct story_event *items = story->events.items;
    enum nearness best = NOT_IT;
    size_t parent = STORY_NONE, rivals = 0;
    for (size_t i = 0; i < story->events.count; i++) {
        enum nearness near = i == child || items[i].copy_of != STORY_NONE
                                 ? NOT_IT
                                 : nearness(&items[child], &items[i]);
        if (near > best) {
            best = near;
            parent = i;
            rivals = 0;
        } else if (near == best && near != NOT_IT) {
            rivals++;
        }
    }
    if (parent == STORY_NONE) {
        return false;
    }
    bool is_guess = rivals > 0 || best == OF_ANOTHER_CORRELATION;
    hang(story, child, parent, STORY_CAUSED, is_guess ? STORY_INFERRED : STORY_RECORDED,
         rivals > 0                       ? "several events have the id that it names"
         : best == OF_ANOTHER_CORRELATION ? "the event of that id is of another correlation"
                                          : NULL);
    return true;
}

static bool hang_by_trace(struct story *story, size_t child)
{
    struct story_event *items = story->events.items;
    for (size_t i = 0; i < child; i++) {
        if (items[i].copy_of == STORY_NONE && same_text(items[i].trace, items[child].trace)) {
            hang(story, child, i, STORY_TRACED, STORY_INFERRED,
                 "the first event of its trace: which one of them was the cause is not recorded");
            return true;
        }
    }
    return false;
}

static bool hang_by_correlation(struct story *story, size_t child)
{
    struct story_event *items = story->events.items;
    const char *correlation = items[child].attributes.correlation_id;
    size_t parent = STORY_NONE;
    if (same_text(correlation, items[child].attributes.id)) {
        return false; /* it is the first one itself */
    }
    for (size_t i = 0; i < story->events.count; i++) {
        bool is_other = i != child && items[i].copy_of == STORY_NONE;
        if (is_other && same_text(items[i].attributes.id, correlation)) {
            parent = i;
            break;
        }
        if (is_other && i < child && parent == STORY_NONE &&
            same_text(items[i].attributes.correlation_id, correlation)) {
            parent = i;
        }
    }
    if (parent != STORY_NONE) {
        hang(story, child, parent, STORY_CORRELATED, STORY_INFERRED,
             "the first event of its correlation: which one of them was the cause is not recorded");
    }
    return parent != STORY_NONE;
}

static bool names_nothing(const struct story_event *event)
{
    return !is_set(event->attributes.causation_id) && !is_set(event->attributes.correlation_id) &&
           event->trace == NULL;
}

static void hang_by_key(struct story *story, size_t child)
{
    struct story_event *items = story->events.items;
    if (items[child].event.key.size == 0 || !names_nothing(&items[child])) {
        return;
    }
    for (size_t i = child; i-- > 0;) {
        if (items[i].copy_of == STORY_NONE && names_nothing(&items[i]) &&
            slice_equal(items[i].event.key, items[child].event.key)) {
            hang(story, child, i, STORY_OF_ONE_KEY, STORY_INFERRED,
                 "the event before it of the same key, and nothing else tells");
            return;
        }
    }
}

static void find_parent(struct story *story, size_t index)
{
    struct story_event *event = &story->events.items[index];
    if (event->copy_of != STORY_NONE) {
        return; /* it follows its first copy */
    }
    bool has_cause = hang_by_cause(story, index);
    event->has_lost_cause = !has_cause && is_set(event->attributes.causation_id);
    if (!has_cause && !hang_by_trace(story, index) && !hang_by_correlation(story, index)) {
        hang_by_key(story, index);
    }
}

/* Follows the parents from there; true when that leads back to it. */
static bool is_in_circle(const struct story *story, size_t index)
{
    size_t at = story->events.items[index].parent;
    for (size_t steps = 0; at != STORY_NONE && steps < story->events.count; steps++) {
        if (at == index) {
            return true;
        }
        at = story->events.items[at].parent;
    }
    return false;
}

/* Of the events of a circle the one whose link tells least; of several the oldest. */
static size_t weakest_of_circle(const struct story *story, size_t index)
{
    const struct story_event *items = story->events.items;
    size_t weakest = index;
    for (size_t at = items[index].parent; at != index; at = items[at].parent) {
        bool is_guess = items[at].link_evidence == STORY_INFERRED;
        bool was_guess = items[weakest].link_evidence == STORY_INFERRED;
        bool is_weaker = is_guess != was_guess ? is_guess
                         : items[at].link != items[weakest].link
                             ? items[at].link > items[weakest].link
                             : at < weakest;
        weakest = is_weaker ? at : weakest;
    }
    return weakest;
}

/* What is recorded stays, as long as there is a guess in the circle. */
static void cut_circles(struct story *story)
{
    for (size_t i = 0; i < story->events.count; i++) {
        if (is_in_circle(story, i)) {
            size_t weakest = weakest_of_circle(story, i);
            bool is_guess = story->events.items[weakest].link_evidence == STORY_INFERRED;
            hang(story, weakest, STORY_NONE, STORY_ROOT, STORY_INFERRED,
                 is_guess ? "what it may have come of, its trace or its correlation, came of it"
                          : "its causes lead back to it: the circle is cut at its oldest event");
        }
    }
}

/* --- the order of the tree --- */

/* A copy goes where its first copy is. */
static void hang_copies(struct story *story)
{
    for (size_t i = 0; i < story->events.count; i++) {
        struct story_event *event = &story->events.items[i];
        if (event->copy_of != STORY_NONE) {
            const struct story_event *first = &story->events.items[event->copy_of];
            hang(story, i, first->parent, first->link, first->link_evidence, first->link_note);
        }
    }
}

/* Puts the children of `parent` on the stack, the first one on top. */
static void push_children(const struct story *story, size_t parent, size_t *stack, size_t *top)
{
    for (size_t i = story->events.count; i-- > 0;) {
        if (story->events.items[i].parent == parent) {
            stack[(*top)++] = i;
        }
    }
}

static void put_in_order(struct story *story)
{
    size_t count = story->events.count, top = 0, placed = 0;
    size_t *stack = mem_new_array(size_t, count + 1), *new_place = mem_new_array(size_t, count + 1);
    struct story_event *ordered = mem_new_array(struct story_event, count + 1);
    push_children(story, STORY_NONE, stack, &top);
    while (top > 0) {
        size_t at = stack[--top];
        new_place[at] = placed;
        ordered[placed++] = story->events.items[at];
        push_children(story, at, stack, &top);
    }
    for (size_t i = 0; i < placed; i++) {
        struct story_event *event = &ordered[i];
        event->parent = event->parent != STORY_NONE ? new_place[event->parent] : STORY_NONE;
        event->copy_of = event->copy_of != STORY_NONE ? new_place[event->copy_of] : STORY_NONE;
        event->depth = event->parent != STORY_NONE ? ordered[event->parent].depth + 1 : 0;
    }
    for (size_t i = 0; i < placed; i++) {
        story->events.items[i] = ordered[i];
    }
    free(stack);
    free(new_place);
    free(ordered);
}

void story_tree(struct story *story)
{
    if (story->events.count == 0) {
        return;
    }
    qsort(story->events.items, story->events.count, sizeof *story->events.items, compare_items);
    for (size_t i = 0; i < story->events.count; i++) {
        story->events.items[i].parent = story->events.items[i].copy_of = STORY_NONE;
        story->events.items[i].link = STORY_ROOT;
        story->events.items[i].link_note = NULL;
        find_copy(story, i);
    }
    for (size_t i = 0; i < story->events.count; i++) {
        find_parent(story, i);
    }
    cut_circles(story);
    hang_copies(story);
    put_in_order(story);
}
