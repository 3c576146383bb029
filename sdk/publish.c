#include "service.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/plural.h"
#include "base/random.h"
#include "base/time_text.h"

#include <stdio.h>
#include <stdlib.h>

/* Publishing: one publisher, made at the first publish, with a thread for its completions. */

/* Travels with an event and comes back with its completion. */
struct outgoing {
    tidings_delivered_fn *delivered;
    void *context;
    struct flight *flight; /* NULL: no event in hand depends on it */
    struct span *span;     /* NULL: it has none */
};

static void on_done(void *context, const struct publication *publication)
{
    struct tidings *service = context;
    struct outgoing *outgoing = publication->context;
    meter_published(service, publication->error == NULL);
    span_sent(service, outgoing->span, publication);
    if (outgoing->delivered != NULL) {
        struct tidings_delivery delivery = {
            .status = status_from(publication->status),
            .text = publication->error != NULL ? publication->error->text : "",
            .topic = publication->topic,
            .partition = publication->partition,
            .offset = publication->offset,
        };
        outgoing->delivered(outgoing->context, &delivery);
    }
    if (outgoing->flight != NULL) {
        struct lane_said failed = {.verdict = LANE_RETRY};
        if (publication->error != NULL) {
            int code = publication->error->code;
            snprintf(failed.error_class, sizeof failed.error_class, "publish%s%s",
                     code != 0 ? " " : "", code != 0 ? client_code_name(code) : "");
            snprintf(failed.message, sizeof failed.message,
                     "what it published for %.100s was not kept: %.250s", publication->topic,
                     publication->error->text);
        }
        flight_settle(service, outgoing->flight, publication->error != NULL ? &failed : NULL);
    }
    free(outgoing);
}

struct publisher_settings service_publisher(struct tidings *service)
{
    return (struct publisher_settings){
        .connection = service_connection(service),
        .event_timeout_ms = service->options.publish_timeout_ms,
        .has_thread = true,
        .done = on_done,
        .done_context = service,
    };
}

static enum tidings_status publisher_get(struct tidings *service, struct publisher **publisher,
                                         struct tidings_error *error)
{
    struct client_error why;
    enum client_status status = CLIENT_OK;
    pthread_mutex_lock(&service->lock);
    if (service->publisher == NULL) {
        struct publisher_settings settings = service_publisher(service);
        status = publisher_open(&settings, &service->publisher, &why);
    }
    *publisher = service->publisher;
    pthread_mutex_unlock(&service->lock);
    return status == CLIENT_OK ? TIDINGS_OK : error_from(error, &why);
}

enum tidings_status message_check(const struct tidings *service,
                                  const struct tidings_message *message,
                                  struct tidings_error *error)
{
    if (message->topic == NULL || message->topic[0] == '\0') {
        return error_set(error, TIDINGS_INVALID, "the message names no topic");
    }
    if (message->type == NULL || message->type[0] == '\0') {
        return error_set(error, TIDINGS_INVALID, "the message has no event type");
    }
    if (message->key == NULL && message->key_size > 0) {
        return error_set(error, TIDINGS_INVALID, "the message has a key_size and no key");
    }
    for (size_t i = 0; i < message->header_count; i++) {
        if (message->headers[i].name == NULL) {
            return error_set(error, TIDINGS_INVALID, "header %zu has no name", i);
        }
    }
    const struct tidings_event *cause = message->cause;
    if (cause != NULL && cause->in_hand != NULL && cause->in_hand->service != service) {
        return error_set(error, TIDINGS_INVALID,
                         "the cause is in the hand of another service: publish with that one, or "
                         "name its ids");
    }
    return TIDINGS_OK;
}

static bool is_set(const char *text)
{
    return text != NULL && text[0] != '\0';
}

static bool has_header(const struct tidings_message *message, const char *name)
{
    size_t i = 0;
    while (i < message->header_count && strcmp(message->headers[i].name, name) != 0) {
        i++;
    }
    return i < message->header_count;
}

/* The cause's trace goes on, unless the message has its own. */
static void add_trace(struct event *event, const struct tidings_message *message,
                      struct arena *arena)
{
    const struct tidings_event *cause = message->cause;
    char *child = arena_alloc(arena, TRACEPARENT_SIZE);
    if (cause == NULL || has_header(message, "traceparent") ||
        (!span_carried(cause, child) && !trace_child(cause->traceparent, child))) {
        return;
    }
    event_header_add(event, "traceparent", slice_str(child));
    if (is_set(cause->tracestate) && !has_header(message, "tracestate")) {
        event_header_add(event, "tracestate", slice_str(cause->tracestate));
    }
}

struct event message_event(const struct tidings_message *message, const char *source,
                           int64_t now_ms, struct arena *arena)
{
    enum { TRACE_HEADERS = 2 };
    char *id = arena_alloc(arena, UUID_TEXT_SIZE), *now = arena_alloc(arena, TIME_TEXT_SIZE);
    const struct tidings_event *cause = message->cause;
    struct event_attributes attributes = {
        .id = is_set(message->id) ? message->id : random_uuid_text(id),
        .source = is_set(message->source) ? message->source : source,
        .type = message->type,
        .subject = message->subject,
        .time = is_set(message->time) ? message->time : time_format(now_ms, now),
        .content_type = is_set(message->content_type) ? message->content_type
                        : message->data != NULL       ? "application/json"
                                                      : NULL,
        .correlation_id = message->correlation_id,
        .causation_id = message->causation_id,
    };
    if (cause != NULL && attributes.correlation_id == NULL) {
        attributes.correlation_id =
            is_set(cause->correlation_id) ? cause->correlation_id : cause->id;
    }
    if (cause != NULL && attributes.causation_id == NULL) {
        attributes.causation_id = cause->id;
    }
    struct event event = event_blank();
    event.topic = message->topic;
    event.key =
        message->key_size > 0 ? slice_of(message->key, message->key_size) : slice_str(message->key);
    event.value = slice_of(message->data, message->data != NULL ? message->data_size : 0);
    event_header_room(&event, EVENT_ATTRIBUTES_MAX + TRACE_HEADERS + message->header_count, arena);
    event_attributes_add(&event, 0, &attributes);
    add_trace(&event, message, arena);
    for (size_t i = 0; i < message->header_count; i++) {
        const struct tidings_header *header = &message->headers[i];
        event_header_add(&event, header->name,
                         slice_of(header->value, header->value != NULL ? header->value_size : 0));
    }
    return event;
}

/* in_hand: NULL, or what waits for the fate of this one. */
static enum tidings_status publish(struct tidings *service, const struct tidings_message *message,
                                   tidings_delivered_fn *delivered, void *context,
                                   struct tidings_in_hand *in_hand, struct tidings_error *error)
{
    struct publisher *publisher = NULL;
    enum tidings_status status = message_check(service, message, error);
    bool is_kept = in_hand != NULL && service->options.exactly_once;
    if (status == TIDINGS_OK && service->played == NULL && !is_kept) {
        status = publisher_get(service, &publisher, error);
    }
    if (status != TIDINGS_OK) {
        return status;
    }
    struct arena arena = {0};
    struct client_error why;
    struct event event =
        message_event(message, service->source, clock_wall_ms(service->clock), &arena);
    if (is_kept) {
        struct span *span = span_send(service, message, &event, &arena);
        transact_keep(in_hand, &event, span, delivered, context);
        arena_deinit(&arena);
        return status;
    }
    struct outgoing *outgoing = mem_new(struct outgoing);
    struct flight *flight = NULL;
    outgoing->delivered = delivered;
    outgoing->context = context;
    outgoing->span = span_send(service, message, &event, &arena);
    if (in_hand != NULL) {
        outgoing->flight = flight = flight_join(in_hand);
    }
    if ((service->played != NULL
             ? service->played->publish(service, &event, outgoing, &why)
             : publisher_publish(publisher, &event, outgoing, &why)) != CLIENT_OK) {
        status = error_from(error, &why);
        span_drop(outgoing->span);
        if (flight != NULL) {
            flight_settle(service, flight, NULL); /* the handler sees the status and decides */
        }
        free(outgoing);
    }
    arena_deinit(&arena);
    return status;
}

enum tidings_status tidings_publish_sized(struct tidings *service,
                                          const struct tidings_message *message,
                                          size_t message_size, tidings_delivered_fn *delivered,
                                          void *context, struct tidings_error *error)
{
    struct tidings_message its;
    message = message_known(message, message_size, &its, error);
    return message == NULL
               ? TIDINGS_INVALID
               : publish(service, message, delivered, context,
                         message->cause != NULL ? message->cause->in_hand : NULL, error);
}

struct publish_wait {
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool settled;
    struct tidings_error result;
};

static void on_waited_delivery(void *context, const struct tidings_delivery *delivery)
{
    struct publish_wait *wait = context;
    pthread_mutex_lock(&wait->lock);
    error_set(&wait->result, delivery->status, "%s", delivery->text);
    wait->settled = true;
    pthread_cond_signal(&wait->done);
    pthread_mutex_unlock(&wait->lock);
}

enum tidings_status tidings_publish_wait_sized(struct tidings *service,
                                               const struct tidings_message *message,
                                               size_t message_size, struct tidings_error *error)
{
    struct tidings_message its;
    struct publish_wait wait = {.lock = PTHREAD_MUTEX_INITIALIZER,
                                .done = PTHREAD_COND_INITIALIZER};
    message = message_known(message, message_size, &its, error);
    enum tidings_status status =
        message == NULL ? TIDINGS_INVALID
                        : publish(service, message, on_waited_delivery, &wait, NULL, error);
    if (status != TIDINGS_OK) {
        return status;
    }
    pthread_mutex_lock(&wait.lock);
    while (!wait.settled) {
        pthread_cond_wait(&wait.done, &wait.lock);
    }
    pthread_mutex_unlock(&wait.lock);
    pthread_cond_destroy(&wait.done);
    pthread_mutex_destroy(&wait.lock);
    return wait.result.status == TIDINGS_OK
               ? TIDINGS_OK
               : error_set(error, wait.result.status, "%s", wait.result.text);
}

enum tidings_status tidings_flush(struct tidings *service, int timeout_ms,
                                  struct tidings_error *error)
{
    pthread_mutex_lock(&service->lock);
    struct publisher *publisher = service->publisher;
    pthread_mutex_unlock(&service->lock);
    if (publisher == NULL || publisher_flush(publisher, timeout_ms) == CLIENT_OK) {
        return TIDINGS_OK;
    }
    size_t pending = publisher_pending(publisher);
    return error_set(error, TIDINGS_UNREACHABLE, "%zu event%s not acknowledged by %s within %d ms",
                     pending, plural_s(pending), service->options.bootstrap_servers, timeout_ms);
}
