#include "client/reader/reader_inside.h"

#include "base/mem.h"

#include <stdlib.h>

/*
 * Events in hand. A quick reader has thousands of them and each lives for a moment, so their memory
 * is used again. The thread that takes keeps what it frees itself; what others free goes onto a
 * stack that it empties as a whole when it needs more.
 */

enum {
    USUAL_HEADERS = 12, /* room for so many is kept; what has more is made for it alone */
    KEPT_MOST = 10000
};

/* A received one with its record and header array. */
struct held_event {
    struct received received; /* first */
    rd_kafka_message_t *message;
    struct reader_handle *handle;
    struct held_event *next; /* of those that are kept */
    bool is_usual;
    struct event_header headers[];
};

static struct held_event *take_kept(struct reader_handle *handle)
{
    if (handle->kept == NULL && atomic_load_explicit(&handle->freed, memory_order_relaxed)) {
        handle->kept = atomic_exchange(&handle->freed, NULL);
        handle->kept_count = atomic_exchange(&handle->freed_count, 0); /* about so many */
    }
    struct held_event *held = handle->kept;
    if (held != NULL) {
        handle->kept = held->next;
        handle->kept_count--;
    }
    return held;
}

static struct held_event *room_for(struct reader_handle *handle, size_t headers)
{
    bool is_usual = headers <= USUAL_HEADERS;
    size_t room = is_usual ? USUAL_HEADERS : headers;
    struct held_event *held = is_usual ? take_kept(handle) : NULL;
    if (held == NULL) {
        held = mem_alloc(sizeof *held + room * sizeof held->headers[0]);
    }
    held->is_usual = is_usual;
    held->handle = handle;
    return held;
}

struct received *reader_receive(struct reader_handle *handle, rd_kafka_message_t *message,
                                int64_t epoch)
{
    rd_kafka_headers_t *headers = NULL;
    size_t count = rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR
                       ? rd_kafka_header_cnt(headers)
                       : 0;
    struct held_event *held = room_for(handle, count);
    held->message = message;
    handle->taken++;
    held->received = (struct received){
        .event = {.topic = rd_kafka_topic_name(message->rkt),
                  .partition = message->partition,
                  .offset = message->offset,
                  .timestamp_ms = event_time(rd_kafka_message_timestamp(message, NULL)),
                  .key = slice_of(message->key, message->key_len),
                  .value = slice_of(message->payload, message->len),
                  .headers = held->headers,
                  .header_count = count},
        .epoch = epoch,
    };
    for (size_t i = 0; i < count; i++) {
        struct event_header *header = &held->headers[i];
        const void *value;
        rd_kafka_header_get_all(headers, i, &header->name, &value, &header->value.size);
        header->value.data = value;
    }
    return &held->received;
}

long reader_in_hand(const struct reader_handle *handle)
{
    return handle->taken - handle->freed_here - atomic_load(&handle->freed_elsewhere);
}

static void push(struct reader_handle *handle, struct held_event *held)
{
    atomic_fetch_add_explicit(&handle->freed_count, 1, memory_order_relaxed);
    held->next = atomic_load_explicit(&handle->freed, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(&handle->freed, &held->next, held)) {
    }
}

void received_free(struct received *received)
{
    if (received == NULL) {
        return;
    }
    struct held_event *held = (struct held_event *)received;
    struct reader_handle *handle = held->handle;
    rd_kafka_message_destroy(held->message);
    if (held->is_usual &&
        atomic_load_explicit(&handle->freed_count, memory_order_relaxed) < KEPT_MOST) {
        push(handle, held);
    } else {
        free(held);
    }
    atomic_fetch_add(&handle->freed_elsewhere, 1); /* without any in hand it may be freed */
}

void received_free_here(struct received *received)
{
    struct held_event *held = (struct held_event *)received;
    struct reader_handle *handle = held->handle;
    rd_kafka_message_destroy(held->message);
    if (held->is_usual && handle->kept_count < KEPT_MOST) {
        held->next = handle->kept;
        handle->kept = held;
        handle->kept_count++;
    } else {
        free(held);
    }
    handle->freed_here++;
}

void reader_forget_kept(struct reader_handle *handle)
{
    struct held_event *held;
    while ((held = take_kept(handle)) != NULL) {
        free(held);
    }
}
