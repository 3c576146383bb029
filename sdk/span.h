#ifndef TIDINGS_SDK_SPAN_H
#define TIDINGS_SDK_SPAN_H

/*
 * Spans of OpenTelemetry: what a service did with each event and what it published because of it,
 * sent to a collector by OTLP over HTTP, in JSON. span.c makes them, span_json.c writes them down,
 * span_settings.c knows the environment's variables, span_send.c has the thread that sends, on
 * libcurl, which is loaded only when somebody asks for this.
 *
 * Nobody waits for a collector: what finds the queue full is dropped and counted. Without an
 * endpoint nothing is made, and an event's trace is handed on as it came.
 */

#include "tidings.h"

#include "client/event/event.h"
#include "client/publisher/publisher.h"
#include "client/runner/lane_runner.h"

#include "base/arena.h"
#include "base/buf.h"

enum { TRACEPARENT_SIZE = 56, TRACE_ID_SIZE = 33, SPAN_ID_SIZE = 17 };

/* W3C trace context. */
struct trace {
    char trace_id[TRACE_ID_SIZE];
    char span_id[SPAN_ID_SIZE];
    bool is_sampled;
};

enum span_kind { SPAN_SEND, SPAN_PROCESS };

struct span {
    struct span *next, *prev; /* of the queue */
    struct arena arena;       /* of its texts */
    enum span_kind kind;
    struct trace trace;           /* its own */
    char parent_id[SPAN_ID_SIZE]; /* "": none */
    struct trace link;            /* PROCESS: the creation context; trace_id "": none */
    const char *link_state;       /* its tracestate, "" */
    int64_t start_ns, end_ns;     /* since 1970 */
    const char *topic;
    const char *id, *source, *type, *correlation_id; /* "": none */
    const char *key;                                 /* "": none, or no text */
    int32_t partition;                               /* -1: not known, as below */
    int64_t offset;
    int64_t size; /* of the data */
    const char *handler;
    int attempt;
    const char *verdict;     /* PROCESS */
    const char *error_class; /* "": it went well */
    const char *error_text;
};

struct spans;
struct tidings;

/*
 * As options.otlp_endpoint and the environment say (span_settings.c); no endpoint: *spans is NULL.
 * TIDINGS_INVALID: what the option names cannot be had; what the environment names is only warned
 * of.
 */
enum tidings_status spans_open(struct tidings *service, struct spans **spans,
                               struct tidings_error *error);
/* Sends what is queued, for at most 2 s, and no longer than the stop of the service may take. NULL
 * is fine. */
void spans_close(struct spans *spans);

struct spans_counts {
    uint64_t sent, dropped;
};
/* Since the start. Any thread. */
void spans_counts(struct spans *spans, struct spans_counts *counts);

/* Frees one that is not to be sent. NULL is fine. */
void span_drop(struct span *span);

/* Takes it; it is freed. Any thread; never waits. */
void spans_add(struct spans *spans, struct span *span);
/* Whether a trace that begins here is recorded, as the sampler says; that of `parent` (NULL: none)
 * decides where the sampler looks at it. Any thread. */
bool spans_sample(const struct spans *spans, const struct trace *parent, const char *trace_id);

/* --- span.c; service->spans may be NULL, then all is NULL and nothing happens --- */

/* A handler begins with the event: the span of that, in hand->own. */
void span_begin(struct tidings *service, const struct tidings_event *event, struct lane_hand *hand);
/* The handler has returned. */
void span_returned(struct lane_hand *hand);
/* And this became of it: the span is the exporter's. Any thread. */
void span_said(struct tidings *service, const struct lane_hand *hand, const struct lane_said *said);

/* The traceparent of what the event in hand (NULL: it is in none) makes happen, where that has no
 * span of its own. False: the event's hand has no span. */
bool span_carried(const struct tidings_event *cause, char traceparent[TRACEPARENT_SIZE]);

/* The event is about to be published: its span, or NULL; its traceparent names it from now on. */
struct span *span_send(struct tidings *service, const struct tidings_message *message,
                       struct event *event, struct arena *arena);
/* What became of it; NULL is fine. Any thread. */
void span_sent(struct tidings *service, struct span *span, const struct publication *publication);

/* --- trace.c --- */

/* Reads a traceparent (NULL: none). False: it is no valid one (W3C Trace Context, 3.2; later
 * versions are read as that). */
bool trace_parse(const char *traceparent, struct trace *trace);
void trace_format(const struct trace *trace, char traceparent[TRACEPARENT_SIZE]);
/* A new trace; a new span id in it. Not sampled. */
void trace_new(struct trace *trace);
void trace_new_span(struct trace *trace);

/*
 * The traceparent of what `parent` (NULL: none) made happen: the same trace, a new span id. False:
 * parent is no valid one, and there is none.
 */
bool trace_child(const char *parent, char child[TRACEPARENT_SIZE]);

/* --- span_json.c --- */

struct span_resource {
    const char *service_name, *instance;
    const char *attributes; /* OTEL_RESOURCE_ATTRIBUTES, NULL: none */
    const char *group, *client_id;
};

/* Appends an ExportTraceServiceRequest of these spans, in OTLP's JSON. */
void spans_encode(const struct span_resource *resource, const struct span *spans, struct buf *json);

/* --- span_settings.c --- */

enum span_sampler { SAMPLE_ALL, SAMPLE_NONE, SAMPLE_RATIO };

struct span_settings {
    char *url;                     /* NULL: nothing is sent */
    bool is_optional;              /* the environment asks for it */
    char *headers;                 /* "name=value,..."; NULL: none */
    struct span_resource resource; /* texts of the environment and of the service */
    enum span_sampler sampler;
    bool asks_parent;
    double ratio;
    int timeout_ms, delay_ms;
};

/* Reads them. TIDINGS_INVALID: the option is wrong. Free with span_settings_deinit in any case. */
enum tidings_status span_settings_read(struct tidings *service, struct span_settings *settings,
                                       struct tidings_error *error);
void span_settings_deinit(struct span_settings *settings);

/* The next of "name=value,...", values with %XX decoded, in the arena; *text goes on. False: the
 * end. What is no pair is passed over. */
bool span_pair(const char **text, struct arena *arena, const char **name, const char **value);

#endif
