#include "service.h"

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

bool trace_child(const char *parent, char child[TRACEPARENT_SIZE])
{
    uint64_t span = 0;
    if (parent == NULL || !is_valid(parent)) {
        return false;
    }
    while (span == 0) {
        random_secure(&span, sizeof span);
    }
    snprintf(child, TRACEPARENT_SIZE, "00-%.32s-%016llx-%.2s", parent + TRACE_AT,
             (unsigned long long)span, parent + FLAGS_AT);
    return true;
}
