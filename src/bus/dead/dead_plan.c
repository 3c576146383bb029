#include "bus/dead/dead_plan.h"

#include "base/mem.h"
#include "base/siphash.h"

#include <stdlib.h>
#include <string.h>

struct dead_plan_lane {
    UT_hash_handle hh;
    uint64_t name[2]; /* a hash of source partition and key */
};

void dead_plan_init(struct dead_plan *plan)
{
    *plan = (struct dead_plan){.first_ms = -1, .last_ms = -1};
    dead_id_draw(plan->id);
}

void dead_plan_deinit(struct dead_plan *plan)
{
    struct dead_plan_lane *lane, *next;
    HASH_ITER (hh, plan->seen, lane, next) {
        HASH_DELETE(hh, plan->seen, lane);
        free(lane);
    }
    for (size_t i = 0; i < plan->topics.count; i++) {
        free(plan->topics.items[i]);
    }
    vec_deinit(&plan->topics);
    vec_deinit(&plan->choices);
}

/* One copy of each name. */
static struct slice keep_topic(struct dead_plan *plan, struct slice topic)
{
    for (size_t i = plan->topics.count; i > 0; i--) {
        if (slice_equal_str(topic, plan->topics.items[i - 1])) {
            return slice_str(plan->topics.items[i - 1]);
        }
    }
    char *copy = mem_strndup((const char *)topic.data, topic.size);
    vec_push(&plan->topics, copy);
    return slice_str(copy);
}

static void count_lane(struct dead_plan *plan, const struct dead_seen *seen)
{
    static const struct siphash_key zero = {0};
    struct slice key = seen->subject.letter->event->key;
    struct buf name = {0};
    struct dead_plan_lane *lane;
    if (slice_is_null(key)) {
        plan->lanes++; /* a lane of its own */
        return;
    }
    buf_append_slice(&name, seen->event.topic);
    buf_append_u8(&name, '\0');
    buf_append_be32(&name, (uint32_t)seen->event.partition);
    buf_append_slice(&name, key);
    struct siphash128 hash = siphash128(&zero, name.data, name.size);
    uint64_t id[2] = {hash.low, hash.high};
    buf_deinit(&name);
    HASH_FIND(hh, plan->seen, id, sizeof id, lane);
    if (lane == NULL) {
        lane = mem_new(struct dead_plan_lane);
        memcpy(lane->name, id, sizeof id);
        HASH_ADD(hh, plan->seen, name, sizeof lane->name, lane);
        plan->lanes++;
    }
}

void dead_plan_take(struct dead_plan *plan, const struct dead_seen *seen, bool may_repeat)
{
    bool is_meant = seen->state == DEAD_OPEN || seen->state == DEAD_AGAIN ||
                    seen->state == DEAD_REQUESTED || (may_repeat && seen->state == DEAD_SENT_BACK);
    int64_t died_ms = seen->subject.letter->died_ms;
    if (!is_meant) {
        plan->passed[seen->state]++;
        return;
    }
    if (slice_is_null(seen->subject.letter->topic)) {
        plan->nameless++;
        return;
    }
    struct dead_event event = seen->event;
    event.topic = keep_topic(plan, event.topic);
    count_lane(plan, seen);
    plan->first_ms = plan->first_ms < 0 || died_ms < plan->first_ms ? died_ms : plan->first_ms;
    plan->last_ms = died_ms > plan->last_ms ? died_ms : plan->last_ms;
    vec_push(&plan->choices, (struct dead_choice){event, dead_case_letter(seen->its),
                                                  dead_case_next_number(seen->its)});
}

/* All partitions have work from the first one on. */
static int compare(const void *left, const void *right)
{
    const struct dead_choice *a = left, *b = right;
    if (a->event.offset != b->event.offset) {
        return a->event.offset < b->event.offset ? -1 : 1;
    }
    if (a->event.partition != b->event.partition) {
        return a->event.partition < b->event.partition ? -1 : 1;
    }
    return strcmp((const char *)a->event.topic.data, (const char *)b->event.topic.data);
}

void dead_plan_sort(struct dead_plan *plan)
{
    if (plan->choices.count > 1) {
        qsort(plan->choices.items, plan->choices.count, sizeof *plan->choices.items, compare);
    }
}

enum client_status dead_plan_store(const struct dead_plan *plan, struct dead_writer *writer,
                                   const char *who, int64_t now_ms, struct client_error *error)
{
    size_t parts = (plan->choices.count + DEAD_PLAN_PART - 1) / DEAD_PLAN_PART;
    enum client_status status = CLIENT_OK;
    for (size_t i = 0; status == CLIENT_OK && i < parts; i++) {
        size_t from = i * DEAD_PLAN_PART, left = plan->choices.count - from;
        struct dead_fact fact = {.kind = DEAD_FACT_PLAN,
                                 .number = (int64_t)i,
                                 .part_count = (int64_t)parts,
                                 .choices = plan->choices.items + from,
                                 .choice_count = left < DEAD_PLAN_PART ? left : DEAD_PLAN_PART,
                                 .time_ms = now_ms,
                                 .who = who};
        memcpy(fact.id, plan->id, sizeof fact.id);
        status = dead_writer_put(writer, &fact, error);
    }
    return status;
}

struct loading {
    struct dead_plan *plan;
    int64_t parts, part_count;
};

/* Parts are written in their order; one that comes twice is taken once. */
static bool load_part(void *context, const struct dead_fact *fact)
{
    struct loading *loading = context;
    struct dead_plan *plan = loading->plan;
    if (fact->kind != DEAD_FACT_PLAN || fact->is_erased || strcmp(fact->id, plan->id) != 0 ||
        fact->number != loading->parts) {
        return true;
    }
    loading->parts++;
    loading->part_count = fact->part_count;
    for (size_t i = 0; i < fact->choice_count; i++) {
        struct dead_choice choice = fact->choices[i];
        choice.event.topic = keep_topic(plan, choice.event.topic);
        vec_push(&plan->choices, choice);
    }
    return true;
}

enum client_status dead_plan_load(struct dead_view *view, const char *id, struct dead_plan *plan,
                                  struct client_error *error)
{
    struct loading loading = {.plan = plan};
    dead_plan_init(plan);
    if (strlen(id) >= sizeof plan->id) {
        return client_fail(error, CLIENT_NOT_FOUND, NULL, "there is no plan '%s'", id);
    }
    strcpy(plan->id, id);
    enum client_status status = dead_view_facts(view, load_part, &loading, error);
    if (status == CLIENT_OK && (loading.parts == 0 || loading.parts != loading.part_count)) {
        status = client_fail(error, CLIENT_NOT_FOUND, "--dry-run makes one",
                             "there is no plan '%s'", id);
    }
    return status;
}

void dead_plan_ended(const struct dead_plan *plan, const struct dead_index *index, int64_t *done,
                     int64_t *failed)
{
    *done = *failed = 0;
    for (size_t i = 0; i < plan->choices.count; i++) {
        const struct dead_choice *choice = &plan->choices.items[i];
        const struct dead_case *at = dead_index_find(index, &choice->event);
        bool has_failed = at != NULL && dead_case_has_failed(at, choice->number);
        *failed += has_failed;
        *done += at != NULL && !has_failed && at->is_done;
    }
}

void dead_plan_measure(struct dead_plan *plan, const struct dead_seen *seen)
{
    struct dead_choice by_text = {.event = seen->event};
    int64_t died_ms = seen->subject.letter->died_ms;
    char *topic = mem_strndup((const char *)seen->event.topic.data, seen->event.topic.size);
    by_text.event.topic = slice_str(topic);
    if (plan->choices.count > 0 && bsearch(&by_text, plan->choices.items, plan->choices.count,
                                           sizeof *plan->choices.items, compare) != NULL) {
        count_lane(plan, seen);
        plan->first_ms = plan->first_ms < 0 || died_ms < plan->first_ms ? died_ms : plan->first_ms;
        plan->last_ms = died_ms > plan->last_ms ? died_ms : plan->last_ms;
    }
    free(topic);
}

size_t dead_plan_check(struct dead_plan *plan, const struct dead_index *index)
{
    size_t kept = 0, count = plan->choices.count;
    for (size_t i = 0; i < count; i++) {
        const struct dead_choice *choice = &plan->choices.items[i];
        const struct dead_case *at = dead_index_find(index, &choice->event);
        enum dead_state state = at != NULL ? dead_case_state(at) : DEAD_OPEN;
        bool is_open = at != NULL && state != DEAD_IS_DONE && state != DEAD_DISCARDED;
        int64_t number = is_open ? dead_case_planned_number(at, choice->number) : 0;
        if (number > 0) {
            plan->choices.items[kept] = *choice;
            plan->choices.items[kept++].number = number;
        }
    }
    plan->choices.count = kept;
    return count - kept;
}
