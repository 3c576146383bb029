#include "cli/event/expect_tell.h"

#include "base/file.h"
#include "base/plural.h"
#include "base/utf8.h"
#include "base/xml.h"
#include "cli/base/output.h"

#include <string.h>

enum { SHOWN_MAX = 5 /* events that fulfil a condition */ };

/* --- words --- */

static void indent(struct buf *text, const char *blanks, struct slice lines)
{
    const uint8_t *at = lines.data;
    const uint8_t *end = lines.data + lines.size;
    while (at < end) {
        const uint8_t *next = memchr(at, '\n', (size_t)(end - at));
        size_t size = (size_t)((next != NULL ? next : end) - at);
        buf_append_str(text, blanks);
        buf_append(text, at, size);
        buf_append_u8(text, '\n');
        at += size + 1;
    }
}

static void tell_event(struct buf *text, const struct kept_event *kept)
{
    struct buf line = {0};
    event_to_line(&kept->event, NULL, &line);
    indent(text, "    ", buf_slice(&line));
    if (kept->why.size > 0) {
        indent(text, "      ", buf_slice(&kept->why));
    }
    buf_deinit(&line);
}

static void tell_events(struct buf *text, const char *title, const struct kept_events *list,
                        size_t most)
{
    if (list->count > 0 && most > 0) {
        buf_printf(text, "  %s:\n", title);
    }
    for (size_t i = 0; i < list->count && i < most; i++) {
        tell_event(text, list->items[i]);
    }
}

static void tell_count(struct buf *text, int64_t count)
{
    if (count == 0) {
        buf_append_str(text, "no event fulfils it");
    } else {
        buf_printf(text, "%lld event%s it", (long long)count, count == 1 ? " fulfils" : "s fulfil");
    }
}

static void tell_item(struct buf *text, const struct expect *expect, const struct expectation *item,
                      bool is_known)
{
    bool good = expectation_is_fulfilled(expect, item);
    buf_append_str(text, !is_known ? "?       " : good ? "ok      " : "not ok  ");
    utf8_escape(text, slice_str(item->text));
    buf_append_str(text, "\n  ");
    tell_count(text, item->count);
    if (!good && expect->in_order && item->count > 0) {
        buf_append_str(text, ", but not behind one that fulfils the condition before it");
    } else if (!good && expect->count == 0) {
        buf_append_str(text, ", none was to");
    } else if (!good) {
        buf_printf(text, ", %s%lld %s to", expect->how == EXPECT_AT_LEAST ? "at least " : "",
                   (long long)expect->count, expect->count == 1 ? "was" : "were");
    }
    buf_append_u8(text, '\n');
    tell_events(text, "these fulfil it", &item->matches, good ? 1 : SHOWN_MAX);
    if (!good && item->count == 0) {
        tell_events(text, "nearest to it", &item->nearest, EXPECT_NEAREST_MAX);
    }
}

void expect_tell(const struct expect *expect, const struct expect_verdict *verdict,
                 struct buf *text)
{
    if (verdict->outcome == EXPECT_UNKNOWN) {
        buf_append_str(text, "not known: ");
        utf8_escape(text, slice_str(verdict->why));
        buf_append_u8(text, '\n');
    }
    for (size_t i = 0; i < expect->items.count; i++) {
        tell_item(text, expect, &expect->items.items[i], verdict->outcome != EXPECT_UNKNOWN);
    }
    if (verdict->outcome != EXPECT_FULFILLED) {
        tell_events(text, "the last events read", &expect->last, EXPECT_LAST_MAX);
    }
    buf_printf(text, "%lld event%s of %zu topic%s in %.3f of %.3f s\n", (long long)expect->read,
               plural_s((uint64_t)expect->read), verdict->topic_count,
               plural_s(verdict->topic_count), (double)verdict->took_ms / 1000,
               (double)verdict->within_ms / 1000);
}

/* --- JSON --- */

static const char *outcome_name(enum expect_outcome outcome)
{
    static const char *const names[] = {"fulfilled", "failed", "unknown"};
    return names[outcome];
}

static json_t *events_json(const struct kept_events *list, size_t most)
{
    json_t *array = json_array();
    for (size_t i = 0; i < list->count && i < most; i++) {
        const struct kept_event *kept = list->items[i];
        json_t *event = event_to_json(&kept->event);
        if (kept->why.size > 0) {
            json_t *lines = json_array();
            const char *at = (const char *)kept->why.data;
            const char *end = at + kept->why.size;
            while (at < end) {
                size_t size = (size_t)((const char *)memchr(at, '\n', (size_t)(end - at)) - at);
                json_array_append_new(lines, json_stringn_nocheck(at, size));
                at += size + 1;
            }
            json_object_set_new(event, "why", lines);
        }
        json_array_append_new(array, event);
    }
    return array;
}

json_t *expect_to_json(const struct expect *expect, const struct expect_verdict *verdict)
{
    json_t *conditions = json_array();
    for (size_t i = 0; i < expect->items.count; i++) {
        const struct expectation *item = &expect->items.items[i];
        json_array_append_new(
            conditions,
            json_pack("{s:o, s:b, s:I, s:o, s:o}", "where", output_json_text(item->text),
                      "fulfilled", expectation_is_fulfilled(expect, item), "count",
                      (json_int_t)item->count, "events", events_json(&item->matches, SHOWN_MAX),
                      "nearest", events_json(&item->nearest, EXPECT_NEAREST_MAX)));
    }
    return json_pack("{s:s, s:o, s:s, s:I, s:b, s:I, s:I, s:I, s:I, s:o, s:o}", "outcome",
                     outcome_name(verdict->outcome), "why", output_json_text(verdict->why), "how",
                     expect->how == EXPECT_EXACTLY ? "exactly" : "at-least", "wanted",
                     (json_int_t)expect->count, "in_order", expect->in_order, "within_ms",
                     (json_int_t)verdict->within_ms, "took_ms", (json_int_t)verdict->took_ms,
                     "topics", (json_int_t)verdict->topic_count, "events_read",
                     (json_int_t)expect->read, "conditions", conditions, "last",
                     events_json(&expect->last, EXPECT_LAST_MAX));
}

/* --- JUnit --- */

static void add_name(struct buf *xml, const char *name, const struct expect *expect)
{
    for (size_t i = 0; name == NULL && i < expect->items.count; i++) {
        xml_escape(xml, slice_str(i > 0 ? "; " : ""));
        xml_escape(xml, slice_str(expect->items.items[i].text));
    }
    xml_escape(xml, slice_str(name));
}

enum err expect_write_junit(const char *path, const char *name, const struct expect *expect,
                            const struct expect_verdict *verdict, struct reason *reason)
{
    static const char *const elements[] = {"", "failure", "error"};
    struct buf xml = {0};
    struct buf text = {0};
    double took_s = (double)verdict->took_ms / 1000;
    expect_tell(expect, verdict, &text);
    buf_printf(&xml,
               "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n"
               "<testsuite name=\"tidings expect\" tests=\"1\" failures=\"%d\" errors=\"%d\" "
               "skipped=\"0\" time=\"%.3f\">\n<testcase classname=\"tidings.expect\" name=\"",
               verdict->outcome == EXPECT_FAILED, verdict->outcome == EXPECT_UNKNOWN, took_s);
    add_name(&xml, name, expect);
    buf_printf(&xml, "\" time=\"%.3f\">\n", took_s);
    if (verdict->outcome != EXPECT_FULFILLED) {
        buf_printf(&xml, "<%s message=\"", elements[verdict->outcome]);
        xml_escape(&xml,
                   slice_str(verdict->outcome == EXPECT_FAILED ? "the events that came do not "
                                                                 "fulfil it"
                                                               : verdict->why));
        buf_append_str(&xml, "\">");
        xml_escape(&xml, buf_slice(&text));
        buf_printf(&xml, "</%s>\n", elements[verdict->outcome]);
    } else {
        buf_append_str(&xml, "<system-out>");
        xml_escape(&xml, buf_slice(&text));
        buf_append_str(&xml, "</system-out>\n");
    }
    buf_append_str(&xml, "</testcase>\n</testsuite>\n</testsuites>\n");
    enum err err = file_replace_unsynced(file_ops_system(), path, xml.data, xml.size, reason);
    buf_deinit(&xml);
    buf_deinit(&text);
    return err;
}
