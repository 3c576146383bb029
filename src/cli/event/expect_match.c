#include "cli/event/expect_match.h"

#include "base/mem.h"
#include "base/time_text.h"
#include "base/utf8.h"
#include "bus/event/event_where.h"

#include <stdlib.h>
#include <string.h>

enum { VALUE_MOST = 200 /* bytes of a value that are shown */ };

/* --- keeping --- */

static struct kept_event *keep(const struct event *event)
{
    struct kept_event *kept = mem_new(struct kept_event);
    kept->event = *event;
    event_own(&kept->event, &kept->arena);
    return kept;
}

static void drop(struct kept_event *kept)
{
    arena_deinit(&kept->arena);
    buf_deinit(&kept->why);
    free(kept);
}

static void drop_all(struct kept_events *list)
{
    for (size_t i = 0; i < list->count; i++) {
        drop(list->items[i]);
    }
    vec_deinit(list);
}

enum err expect_add(struct expect *expect, const char *text, int64_t now_ms, struct reason *reason)
{
    struct where *where = where_new(event_fields());
    enum err err = where_add(where, text, now_ms, reason);
    if (err == ERR_NONE) {
        vec_push(&expect->items, (struct expectation){.text = text, .where = where});
    } else {
        where_free(where);
    }
    return err;
}

void expect_deinit(struct expect *expect)
{
    for (size_t i = 0; i < expect->items.count; i++) {
        where_free(expect->items.items[i].where);
        drop_all(&expect->items.items[i].matches);
        drop_all(&expect->items.items[i].nearest);
    }
    vec_deinit(&expect->items);
    drop_all(&expect->last);
}

/* --- why not --- */

static void tell_value(struct buf *to, const struct where_part *part)
{
    char time[TIME_TEXT_SIZE];
    const struct where_value *value = &part->value;
    if (!value->is_there) {
        buf_append_str(to, "it is not there");
    } else if (part->kind == WHERE_NUMBER) {
        buf_printf(to, "it is %lld", (long long)value->number);
    } else if (part->kind == WHERE_TIME) {
        buf_printf(to, "it is %s", time_format(value->number, time));
    } else {
        bool is_cut = value->text.size > VALUE_MOST;
        buf_append_str(to, "it is '");
        utf8_escape(to, slice_of(value->text.data, is_cut ? VALUE_MOST : value->text.size));
        buf_append_str(to, is_cut ? "'..." : "'");
    }
}

static void tell_part(void *context, const struct where_part *part)
{
    struct buf *why = context;
    buf_append_str(why, part->holds ? "holds: " : "fails: ");
    utf8_escape(why, slice_str(part->text));
    if (!part->holds && part->is_test) {
        buf_append_str(why, ": ");
        tell_value(why, part);
    }
    buf_append_u8(why, '\n');
}

/* More parts hold first; of as many the newer one. */
static void note_nearest(struct expectation *item, const struct event *event,
                         const struct event_subject *subject)
{
    struct buf why = {0};
    struct kept_events *list = &item->nearest;
    size_t parts = where_tell(item->where, event_field_get, subject, tell_part, &why);
    size_t at = 0;
    while (at < list->count && list->items[at]->parts > parts) {
        at++;
    }
    if (at == EXPECT_NEAREST_MAX) {
        buf_deinit(&why);
        return;
    }
    if (list->count == EXPECT_NEAREST_MAX) {
        drop(list->items[--list->count]);
    }
    vec_push(list, NULL);
    memmove(&list->items[at + 1], &list->items[at],
            (list->count - 1 - at) * sizeof(struct kept_event *));
    list->items[at] = keep(event);
    list->items[at]->parts = parts;
    list->items[at]->why = why;
}

/* --- in order --- */

/* Within a partition its order counts, else the time, in which equal is no disorder. */
static bool is_behind(const struct event *event, const struct event *first)
{
    if (event->partition == first->partition && strcmp(event->topic, first->topic) == 0) {
        return event->offset > first->offset;
    }
    return event->timestamp_ms >= first->timestamp_ms;
}

static bool is_behind_any(const struct event *event, const struct kept_events *before)
{
    for (size_t i = 0; i < before->count; i++) {
        if (before->items[i]->is_in_turn && is_behind(event, &before->items[i]->event)) {
            return true;
        }
    }
    return false;
}

/* Events of several partitions do not come in the order of their time, so one that comes late may
 * be what others stand behind. */
static void put_in_turn(struct expect *expect)
{
    for (size_t i = 0; i < expect->items.count; i++) {
        struct kept_events *matches = &expect->items.items[i].matches;
        for (size_t j = 0; j < matches->count; j++) {
            struct kept_event *kept = matches->items[j];
            kept->is_in_turn = kept->is_in_turn || i == 0 ||
                               is_behind_any(&kept->event, &expect->items.items[i - 1].matches);
        }
    }
}

/* --- what came --- */

static bool note_item(struct expectation *item, const struct event *event,
                      const struct event_subject *subject)
{
    if (!where_holds(item->where, event_field_get, subject)) {
        note_nearest(item, event, subject);
        return false;
    }
    item->count++;
    if (item->matches.count < EXPECT_KEPT_MAX) {
        vec_push(&item->matches, keep(event));
    }
    return true;
}

void expect_note(struct expect *expect, const struct event *event)
{
    struct event_subject subject;
    bool any = false;
    event_subject_init(&subject, event);
    for (size_t i = 0; i < expect->items.count; i++) {
        any = note_item(&expect->items.items[i], event, &subject) || any;
    }
    event_subject_deinit(&subject);
    if (any && expect->in_order) {
        put_in_turn(expect);
    }
    if (expect->last.count == EXPECT_LAST_MAX) {
        drop(expect->last.items[0]);
        vec_remove(&expect->last, 0);
    }
    vec_push(&expect->last, keep(event));
    expect->read++;
}

bool expectation_is_fulfilled(const struct expect *expect, const struct expectation *item)
{
    if (!expect->in_order) {
        return expect->how == EXPECT_EXACTLY ? item->count == expect->count
                                             : item->count >= expect->count;
    }
    for (size_t i = 0; i < item->matches.count; i++) {
        if (item->matches.items[i]->is_in_turn) {
            return true;
        }
    }
    return false;
}

bool expect_is_fulfilled(const struct expect *expect)
{
    for (size_t i = 0; i < expect->items.count; i++) {
        if (!expectation_is_fulfilled(expect, &expect->items.items[i])) {
            return false;
        }
    }
    return true;
}

bool expect_is_decided(const struct expect *expect)
{
    if (expect->how == EXPECT_AT_LEAST) {
        return expect_is_fulfilled(expect);
    }
    for (size_t i = 0; i < expect->items.count; i++) {
        if (expect->items.items[i].count > expect->count) {
            return true;
        }
    }
    return false;
}
