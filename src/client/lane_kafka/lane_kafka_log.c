#include "client/lane_kafka/lane_kafka_inside.h"

#include "base/mem.h"

#include <stdio.h>

/*
 * The log thread: reads the places of lanes.<group> whose partitions are held, from their starts on
 * and then as they grow, and single events that were set aside.
 */

enum { AGAIN_MS = 1000 };

static void say(struct lane_log *log, enum lane_log_level level, const char *text)
{
    if (log->runner_settings->log != NULL) {
        log->runner_settings->log(log->runner_settings->context, level, text);
    }
}

/* --- watching --- */

static void tell_end(struct lane_log *log, struct lane_watch *watch)
{
    struct lane_mail *mail = lane_mail_new(LANE_MAIL_END, NULL);
    watch->is_ended = true;
    mail->share = (struct lane_share){arena_cstr(&mail->arena, slice_str(watch->topic)),
                                      watch->partition, watch->epoch};
    lane_runner_post(log->runner, mail);
}

static void reached(struct lane_log *log, int32_t place, int64_t offset)
{
    struct lane_watch *watch;
    DL_FOREACH (log->watches, watch) {
        if (watch->place == place && watch->end >= 0 && !watch->is_ended && offset >= watch->end) {
            tell_end(log, watch);
        }
    }
}

static void on_ended(void *context, const char *topic, int32_t partition, int64_t offset)
{
    (void)topic;
    reached(context, partition, offset);
}

/* Of an event set aside the runner needs to know its key only. */
static void keep_key(struct lane_log *log, struct lane_mail *mail, const struct lane_watch *watch)
{
    struct arena arena = {0};
    struct event *event = &mail->record.event;
    event->topic = watch->topic;
    event->partition = watch->partition;
    mail->place.handler = log->runner_settings->classify(log->runner_settings->context, event);
    mail->place.bytes = lane_event_cost(event);
    struct event kept = event_blank();
    if (!slice_is_null(event->key)) {
        kept.key = slice_of(arena_cstr(&arena, event->key), event->key.size);
    }
    mail->record.event = kept;
    arena_deinit(&mail->arena);
    mail->arena = arena;
}

static void tell_record(struct lane_log *log, const struct lane_watch *watch,
                        const struct event *event, const struct lane_record_key *key)
{
    struct lane_mail *mail = lane_mail_new(LANE_MAIL_RECORD, NULL);
    mail->is_erased = slice_is_null(event->value);
    mail->id = key->id;
    mail->place.position = event->offset;
    mail->place.time_ms = event->timestamp_ms;
    if (!mail->is_erased &&
        lane_record_read(event->value, &mail->arena, &mail->record) != ERR_NONE) {
        lane_mail_free(mail); /* of a newer version, or somebody else's */
        return;
    }
    if (!mail->is_erased && mail->record.kind == LANE_RECORD_ASIDE) {
        keep_key(log, mail, watch);
    }
    mail->share = (struct lane_share){arena_cstr(&mail->arena, slice_str(watch->topic)),
                                      watch->partition, watch->epoch};
    lane_runner_post(log->runner, mail);
}

static void tell_watchers(struct lane_log *log, const struct event *event)
{
    struct lane_record_key key;
    struct lane_watch *watch;
    bool is_ours = lane_record_key_read(event->key, &key);
    DL_FOREACH (log->watches, watch) {
        if (watch->place != event->partition || event->offset < watch->next_position) {
            continue;
        }
        watch->next_position = event->offset + 1;
        if (is_ours && key.partition == watch->partition &&
            slice_equal_str(key.topic, watch->topic)) {
            tell_record(log, watch, event, &key);
        }
    }
    reached(log, event->partition, event->offset + 1);
}

/* The place is read from its start, though others read on in it. */
static enum client_status read_from_start(struct lane_log *log, struct lane_watch *watch,
                                          struct client_error *error)
{
    struct topic_partitions one = {0};
    struct admin_bounds bounds;
    topic_partitions_add(&one, log->lanes_topic, watch->place, -1);
    enum client_status status = admin_bounds(log->connection, &one, &bounds, error);
    if (status == CLIENT_OK) {
        one.items[0].offset = bounds.start;
        if (reader_epoch(log->tail, log->lanes_topic, watch->place) == 0) {
            status = reader_add(log->tail, &one, error);
        } else {
            status = reader_resume(log->tail, log->lanes_topic, watch->place, error);
            if (status == CLIENT_OK) {
                status =
                    reader_seek(log->tail, log->lanes_topic, watch->place, bounds.start, error);
            }
        }
    }
    if (status == CLIENT_OK) {
        watch->end = bounds.end;
        if (bounds.end <= bounds.start) {
            tell_end(log, watch);
        }
    }
    topic_partitions_deinit(&one);
    return status;
}

static enum client_status begin_watch(struct lane_log *log, struct lane_watch *watch,
                                      struct client_error *error)
{
    enum client_status status =
        atomic_load(&log->place_count) == 0 ? lane_topics_make(log, error) : CLIENT_OK;
    if (status == CLIENT_OK) {
        watch->place = lane_log_place(log, watch->partition);
        status = read_from_start(log, watch, error);
    }
    return status;
}

static void begin_watches(struct lane_log *log)
{
    struct lane_watch *watch;
    struct client_error error = {0};
    int64_t now_ms = clock_mono_ms(clock_system());
    if (now_ms < log->again_ms) {
        return;
    }
    DL_FOREACH (log->watches, watch) {
        if (watch->end >= 0 || begin_watch(log, watch, &error) == CLIENT_OK) {
            continue;
        }
        log->again_ms = now_ms + AGAIN_MS;
        if (!log->is_told) {
            char text[1024];
            log->is_told = true;
            snprintf(text, sizeof text,
                     "%s cannot be read (%s); nothing is handled before it is, it is tried again",
                     log->lanes_topic, error.text);
            say(log, LANE_LOG_ERROR, text);
        }
        return;
    }
    if (log->is_told) {
        log->is_told = false;
        say(log, LANE_LOG_INFO, "the group's lanes can be read now");
    }
}

/* --- orders --- */

static void watch_free(struct lane_watch *watch)
{
    free(watch->topic);
    free(watch);
}

static void unwatch(struct lane_log *log, const struct lane_order_of *order)
{
    struct lane_watch *watch, *next;
    int32_t place = -1;
    DL_FOREACH_SAFE (log->watches, watch, next) {
        if (watch->partition == order->partition && strcmp(watch->topic, order->topic) == 0) {
            place = watch->place;
            DL_DELETE(log->watches, watch);
            watch_free(watch);
        }
    }
    DL_FOREACH (log->watches, watch) {
        place = watch->place == place ? -1 : place;
    }
    if (place >= 0) {
        (void)reader_pause(log->tail, log->lanes_topic, place, NULL); /* else it is read in vain */
    }
}

static void watch(struct lane_log *log, const struct lane_order_of *order)
{
    struct lane_watch *made = mem_new(struct lane_watch);
    unwatch(log, order);
    made->topic = mem_strdup(order->topic);
    made->partition = order->partition;
    made->epoch = order->epoch;
    made->place = made->end = -1;
    DL_APPEND(log->watches, made);
    log->again_ms = 0;
}

/* --- the thread --- */

static void order_free(struct lane_order_of *order)
{
    free(order->topic);
    free(order);
}

static void refuse(struct lane_log *log, const struct lane_order_of *order)
{
    bool is_letter = order->kind == LANE_ORDER_LETTER;
    if (order->kind == LANE_ORDER_LOAD || is_letter) {
        struct lane_mail *mail =
            lane_mail_new(is_letter ? LANE_MAIL_LETTER : LANE_MAIL_LOADED, order->token);
        snprintf(mail->why, sizeof mail->why, "the service ends");
        lane_runner_post(log->runner, mail);
    }
}

static void carry_out(struct lane_log *log, const struct lane_order_of *order)
{
    switch (order->kind) {
    case LANE_ORDER_WATCH:
        watch(log, order);
        break;
    case LANE_ORDER_UNWATCH:
        unwatch(log, order);
        break;
    case LANE_ORDER_LOAD:
    case LANE_ORDER_LETTER:
        lane_log_load(log, order);
        break;
    case LANE_ORDER_START:
        lane_log_look(log, order);
        break;
    }
}

/* All that was ordered, waiting for it when there is nothing else to do. False: the end. */
static bool take_orders(struct lane_log *log, struct lane_order_of **orders)
{
    pthread_mutex_lock(&log->lock);
    while (log->watches == NULL && log->orders == NULL && !log->is_ending) {
        pthread_cond_wait(&log->ordered, &log->lock);
    }
    *orders = log->orders;
    log->orders = NULL;
    bool goes_on = !log->is_ending;
    pthread_mutex_unlock(&log->lock);
    return goes_on;
}

static void read_on(struct lane_log *log)
{
    enum { EVENTS_OF_A_TURN = 1000 };
    struct received *received;
    struct client_error error = {0};
    int timeout_ms = LANE_LOG_TURN_MS;
    for (int n = 0; n < EVENTS_OF_A_TURN && lane_runner_has_room(log->runner, LANE_LOG_TURN_MS);
         n++, timeout_ms = 0) {
        if (reader_take(log->tail, timeout_ms, &received, &error) != CLIENT_OK) {
            say(log, LANE_LOG_WARN, error.text);
        }
        if (received == NULL) {
            return;
        }
        tell_watchers(log, &received->event);
        received_free(received);
    }
}

static void *run(void *argument)
{
    struct lane_log *log = argument;
    struct lane_order_of *orders, *order, *next;
    bool goes_on;
    do {
        goes_on = take_orders(log, &orders);
        DL_FOREACH_SAFE (orders, order, next) {
            DL_DELETE(orders, order);
            if (goes_on) {
                carry_out(log, order);
            } else {
                refuse(log, order);
            }
            order_free(order);
        }
        if (goes_on) {
            begin_watches(log);
            read_on(log);
            lane_log_rest(log, false);
        }
    } while (goes_on);
    return NULL;
}

static void give_order(struct lane_log *log, enum lane_order_kind kind,
                       const struct lane_share *share, struct lane_letter at, void *token)
{
    struct lane_order_of *order = mem_new(struct lane_order_of);
    order->kind = kind;
    order->topic = mem_strdup(share->topic);
    order->partition = share->partition;
    order->epoch = share->epoch;
    order->position = at.offset;
    order->letter_partition = at.partition;
    order->token = token;
    pthread_mutex_lock(&log->lock);
    DL_APPEND(log->orders, order);
    pthread_cond_signal(&log->ordered);
    pthread_mutex_unlock(&log->lock);
    reader_wake(log->tail);
}

void lane_log_order(struct lane_log *log, enum lane_order_kind kind, const struct lane_share *share,
                    int64_t position, void *token)
{
    give_order(log, kind, share, (struct lane_letter){-1, position}, token);
}

void lane_log_order_letter(struct lane_log *log, const struct lane_share *share,
                           struct lane_letter letter, void *token)
{
    give_order(log, LANE_ORDER_LETTER, share, letter, token);
}

enum client_status lane_log_start(struct lane_log *log, struct client_error *error)
{
    pthread_mutex_init(&log->lock, NULL);
    pthread_cond_init(&log->ordered, NULL);
    lane_log_set_sources(log, log->settings->topics, log->settings->topic_count);
    log->are_other = false;
    lane_topic_name("lanes.", log->settings->group, log->lanes_topic);
    lane_topic_name("dlq.", log->settings->group, log->dlq_topic);
    struct topic_partitions nothing = {0};
    struct reader_settings settings = lane_log_reader(log, &nothing);
    settings.callbacks.ended = on_ended;
    enum client_status status = reader_open(&settings, &log->tail, error);
    if (status != CLIENT_OK) {
        return status;
    }
    log->has_thread = pthread_create(&log->thread, NULL, run, log) == 0;
    return log->has_thread ? CLIENT_OK
                           : client_fail(error, CLIENT_FATAL, NULL, "no thread to read lanes by");
}

void lane_log_stop(struct lane_log *log)
{
    struct lane_watch *watch, *next;
    struct lane_order_of *order, *next_order;
    pthread_mutex_lock(&log->lock);
    log->is_ending = true;
    pthread_cond_signal(&log->ordered);
    pthread_mutex_unlock(&log->lock);
    if (log->tail != NULL) {
        reader_wake(log->tail);
    }
    if (log->has_thread) {
        pthread_join(log->thread, NULL);
    }
    DL_FOREACH_SAFE (log->orders, order, next_order) {
        DL_DELETE(log->orders, order);
        refuse(log, order);
        order_free(order);
    }
    DL_FOREACH_SAFE (log->watches, watch, next) {
        DL_DELETE(log->watches, watch);
        watch_free(watch);
    }
    (void)reader_close(log->tail, NULL);
    lane_log_rest(log, true);
    lane_names_free(&log->sources);
    pthread_cond_destroy(&log->ordered);
    pthread_mutex_destroy(&log->lock);
}
