#include "span.h"

#include "service.h"

#include "base/mem.h"

#include <string.h>
#include <time.h>

/* What becomes a span, and when. */

static int64_t wall_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static const char *keep(struct span *span, const char *text)
{
    return text != NULL && text[0] != '\0' ? arena_cstr(&span->arena, slice_str(text)) : "";
}

/* Within the trace of `parent`, or a new one; NULL: that is not recorded. */
static struct span *span_new(const struct spans *spans, enum span_kind kind,
                             const struct trace *parent)
{
    struct trace trace;
    if (parent != NULL) {
        trace = *parent;
        trace_new_span(&trace);
    } else {
        trace_new(&trace);
    }
    if (!spans_sample(spans, parent, trace.trace_id)) {
        return NULL;
    }
    struct span *span = mem_new(struct span);
    span->kind = kind;
    span->trace = trace;
    span->trace.is_sampled = true;
    if (parent != NULL) {
        memcpy(span->parent_id, parent->span_id, sizeof span->parent_id);
    }
    span->start_ns = wall_ns();
    span->partition = -1;
    span->offset = -1;
    span->link_state = span->key = span->handler = span->verdict = "";
    span->error_class = span->error_text = "";
    return span;
}

/* --- handling --- */

void span_begin(struct tidings *service, const struct tidings_event *event, struct lane_hand *hand)
{
    struct trace creation;
    if (service->spans == NULL) {
        return;
    }
    bool has_creation = trace_parse(event->traceparent, &creation);
    struct span *span = span_new(service->spans, SPAN_PROCESS, has_creation ? &creation : NULL);
    hand->own = span;
    if (span == NULL) {
        return;
    }
    if (has_creation) {
        span->link = creation;
        span->link_state = keep(span, event->tracestate);
    }
    span->topic = keep(span, event->topic);
    span->id = keep(span, event->id);
    span->source = keep(span, event->source);
    span->type = keep(span, event->type);
    span->correlation_id = keep(span, event->correlation_id);
    span->key =
        event->key != NULL && strlen(event->key) == event->key_size ? keep(span, event->key) : "";
    span->partition = event->partition;
    span->offset = event->offset;
    span->size = (int64_t)event->data_size;
    span->handler = keep(span, service->numbered[hand->handler]->name);
    span->attempt = event->attempt;
}

void span_returned(struct lane_hand *hand)
{
    struct span *span = hand->own;
    if (span != NULL) {
        span->end_ns = wall_ns();
    }
}

void span_said(struct tidings *service, const struct lane_hand *hand, const struct lane_said *said)
{
    static const char *const words[] = {
        [LANE_DONE] = "done", [LANE_RETRY] = "retry", [LANE_REJECT] = "reject"};
    struct span *span = hand->own;
    if (span == NULL) {
        return;
    }
    span->end_ns = span->end_ns != 0 ? span->end_ns : wall_ns();
    span->verdict = words[said->verdict];
    if (said->verdict != LANE_DONE) {
        span->error_class = said->error_class[0] != '\0' ? keep(span, said->error_class) : "_OTHER";
        span->error_text = keep(span, said->message);
    }
    spans_add(service->spans, span);
}

/* --- publishing --- */

static const struct span *span_of(const struct tidings_event *cause)
{
    return cause != NULL && cause->in_hand != NULL ? cause->in_hand->hand->own : NULL;
}

bool span_carried(const struct tidings_event *cause, char traceparent[TRACEPARENT_SIZE])
{
    const struct span *span = span_of(cause);
    if (span != NULL) {
        trace_format(&span->trace, traceparent);
    }
    return span != NULL;
}

static bool has_own_trace(const struct tidings_message *message)
{
    for (size_t i = 0; i < message->header_count; i++) {
        if (strcmp(message->headers[i].name, "traceparent") == 0) {
            return true;
        }
    }
    return false;
}

static void name_span(struct event *event, const struct span *span, struct arena *arena)
{
    char *traceparent = arena_alloc(arena, TRACEPARENT_SIZE);
    trace_format(&span->trace, traceparent);
    for (size_t i = 0; i < event->header_count; i++) {
        if (strcmp(event->headers[i].name, "traceparent") == 0) {
            event->headers[i].value = slice_str(traceparent);
            return;
        }
    }
    event_header_add(event, "traceparent", slice_str(traceparent));
}

struct span *span_send(struct tidings *service, const struct tidings_message *message,
                       struct event *event, struct arena *arena)
{
    const struct span *handling = span_of(message->cause);
    struct trace parent;
    if (service->spans == NULL || has_own_trace(message)) {
        return NULL;
    }
    bool has_parent = handling != NULL;
    if (has_parent) {
        parent = handling->trace;
    } else if (message->cause != NULL) {
        has_parent = trace_parse(message->cause->traceparent, &parent);
        if (!has_parent && message->cause->in_hand != NULL) {
            return NULL; /* the sampler has said no to its trace */
        }
    }
    struct span *span = span_new(service->spans, SPAN_SEND, has_parent ? &parent : NULL);
    if (span == NULL) {
        return NULL;
    }
    struct event_attributes attributes = event_attributes(event);
    span->topic = keep(span, event->topic);
    span->id = keep(span, attributes.id);
    span->source = keep(span, attributes.source);
    span->type = keep(span, attributes.type);
    span->correlation_id = keep(span, attributes.correlation_id);
    span->key = keep(span, message->key);
    span->size = (int64_t)event->value.size;
    name_span(event, span, arena);
    return span;
}

void span_sent(struct tidings *service, struct span *span, const struct publication *publication)
{
    if (span == NULL) {
        return;
    }
    span->end_ns = wall_ns();
    span->partition = publication->partition;
    span->offset = publication->offset;
    if (publication->error != NULL) {
        int code = publication->error->code;
        span->error_class = code != 0 ? client_code_name(code) : "_OTHER";
        span->error_text = keep(span, publication->error->text);
    }
    spans_add(service->spans, span);
}
