#include "span.h"

#include "base/random.h"

#include <stdio.h>
#include <string.h>

/* W3C Trace Context: "00-" trace-id "-" parent-id "-" flags. */

enum { TRACE_AT = 3, TRACE_SIZE = 32, SPAN_AT = 36, SPAN_SIZE = 16, FLAGS_AT = 53 };

/* Lower case, as the standard demands. */
static bool is_hex(const char *text, size_t size)
{
    return strspn(text, "0123456789abcdef") >= size;
}

static bool is_id(const char *text, size_t size)
{
    return is_hex(text, size) && strspn(text, "0") < size;
}

static bool is_valid(const char *parent)
{
    size_t size = strlen(parent), least = TRACEPARENT_SIZE - 1;
    return size >= least && is_hex(parent, 2) && strncmp(parent, "ff", 2) != 0 &&
           (size == least || (strncmp(parent, "00", 2) != 0 && parent[least] == '-')) &&
           parent[2] == '-' && is_id(parent + TRACE_AT, TRACE_SIZE) && parent[SPAN_AT - 1] == '-' &&
           is_id(parent + SPAN_AT, SPAN_SIZE) && parent[FLAGS_AT - 1] == '-' &&
           is_hex(parent + FLAGS_AT, 2);
}

bool trace_parse(const char *traceparent, struct trace *trace)
{
    static const char odd[] = "13579bdf";
    *trace = (struct trace){0};
    if (traceparent == NULL || !is_valid(traceparent)) {
        return false;
    }
    memcpy(trace->trace_id, traceparent + TRACE_AT, TRACE_SIZE);
    memcpy(trace->span_id, traceparent + SPAN_AT, SPAN_SIZE);
    trace->is_sampled = strchr(odd, traceparent[FLAGS_AT + 1]) != NULL;
    return true;
}

void trace_format(const struct trace *trace, char traceparent[TRACEPARENT_SIZE])
{
    snprintf(traceparent, TRACEPARENT_SIZE, "00-%.32s-%.16s-%02x", trace->trace_id, trace->span_id,
             trace->is_sampled ? 1U : 0U);
}

static uint64_t random_id(void)
{
    uint64_t id = 0;
    while (id == 0) {
        random_secure(&id, sizeof id);
    }
    return id;
}

void trace_new_span(struct trace *trace)
{
    snprintf(trace->span_id, SPAN_ID_SIZE, "%016llx", (unsigned long long)random_id());
}

void trace_new(struct trace *trace)
{
    *trace = (struct trace){0};
    snprintf(trace->trace_id, TRACE_ID_SIZE, "%016llx%016llx", (unsigned long long)random_id(),
             (unsigned long long)random_id());
    trace_new_span(trace);
}

bool trace_child(const char *parent, char child[TRACEPARENT_SIZE])
{
    if (parent == NULL || !is_valid(parent)) {
        return false;
    }
    snprintf(child, TRACEPARENT_SIZE, "00-%.32s-%016llx-%.2s", parent + TRACE_AT,
             (unsigned long long)random_id(), parent + FLAGS_AT);
    return true;
}
