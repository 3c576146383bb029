#include "client/lane_kafka/lane_kafka_inside.h"

#include <stdio.h>

/* Events set aside, read back by the log thread; and what its two readers share. */

int32_t lane_log_place(const struct lane_log *log, int32_t partition)
{
    int count = atomic_load(&log->place_count);
    return count > 0 ? partition % count : -1;
}

struct reader_settings lane_log_reader(struct lane_log *log, const struct topic_partitions *nothing)
{
    struct reader_settings settings = {.connection = log->settings->connection,
                                       .partitions = nothing,
                                       .context = log,
                                       .fetch_wait_ms = LANE_LOG_TURN_MS};
    settings.connection.notice = NULL; /* the group's reader tells the same */
    return settings;
}

static void close_loader(struct lane_loader *loader)
{
    (void)reader_close(loader->reader, NULL);
    loader->reader = NULL;
}

void lane_log_rest(struct lane_log *log, bool is_end)
{
    enum { IDLE_MS = 10000 };
    int64_t now_ms = clock_mono_ms(clock_system());
    for (int i = 0; i < LANE_LOADERS; i++) {
        struct lane_loader *loader = &log->loaders[i];
        if (loader->reader != NULL && (is_end || now_ms - loader->used_ms > IDLE_MS)) {
            close_loader(loader);
        }
    }
}

/* Whether it stands at the position, or a little before. */
static bool is_near(const struct lane_loader *loader, bool is_letters, struct lane_letter at)
{
    enum { NEAR = 200 };
    return loader->reader != NULL && loader->is_letters == is_letters &&
           loader->partition == at.partition && at.offset >= loader->next &&
           at.offset - loader->next < NEAR;
}

/* The nearest one that stands before it, else one that is free, else the one that rests longest. */
static struct lane_loader *choose(struct lane_log *log, bool is_letters, struct lane_letter at)
{
    struct lane_loader *best = NULL, *other = &log->loaders[0];
    for (int i = 0; i < LANE_LOADERS; i++) {
        struct lane_loader *loader = &log->loaders[i];
        if (is_near(loader, is_letters, at) && (best == NULL || loader->next > best->next)) {
            best = loader;
        }
        if (other->reader != NULL && (loader->reader == NULL || loader->used_ms < other->used_ms)) {
            other = loader;
        }
    }
    return best != NULL ? best : other;
}

/* A loader that stands near it knows that there is such a letter. */
static bool is_known(struct lane_log *log, struct lane_letter at)
{
    const struct lane_loader *loader = choose(log, true, at);
    return is_near(loader, true, at) && at.offset < loader->end;
}

/*
 * A loader that stands there. It is opened anew where it is to jump: a seek would wait until the
 * fetch that is on its way is answered.
 */
static enum client_status go_to(struct lane_log *log, bool is_letters, struct lane_letter at,
                                struct lane_loader **chosen, struct client_error *error)
{
    enum { AHEAD_KBYTES = 1024 };
    struct topic_partitions one = {0};
    struct lane_loader *loader = choose(log, is_letters, at);
    *chosen = loader;
    loader->used_ms = clock_mono_ms(clock_system());
    if (is_near(loader, is_letters, at)) {
        return CLIENT_OK;
    }
    close_loader(loader);
    topic_partitions_add(&one, is_letters ? log->dlq_topic : log->lanes_topic, at.partition,
                         at.offset);
    struct reader_settings settings = lane_log_reader(log, &one);
    settings.prefetch_kbytes = AHEAD_KBYTES;
    enum client_status status = reader_open(&settings, &loader->reader, error);
    topic_partitions_deinit(&one);
    loader->is_letters = is_letters;
    loader->partition = at.partition;
    loader->next = at.offset;
    return status;
}

/* What stands at the position into the mail; false: it is not what is wanted. */
static bool take(struct lane_mail *mail, const struct event *event)
{
    if (mail->kind == LANE_MAIL_LETTER) {
        mail->record.event = *event;
        event_own(&mail->record.event, &mail->arena);
        return true;
    }
    return !slice_is_null(event->value) &&
           lane_record_read(event->value, &mail->arena, &mail->record) == ERR_NONE;
}

static enum client_status read_at(struct lane_log *log, struct lane_loader *loader,
                                  struct lane_letter at, struct lane_mail *mail,
                                  struct client_error *error)
{
    int64_t until_ms = clock_mono_ms(clock_system()) + connection_timeout_ms(log->connection);
    enum client_status status = CLIENT_OK;
    while (status == CLIENT_OK && clock_mono_ms(clock_system()) < until_ms &&
           connection_timeout_ms(log->connection) > 0) {
        struct received *received;
        status = reader_take(loader->reader, LANE_LOG_TURN_MS, &received, error);
        if (received == NULL || received->event.partition != at.partition) {
            received_free(received);
            continue;
        }
        int64_t offset = received->event.offset;
        mail->is_done = offset == at.offset && take(mail, &received->event);
        received_free(received);
        loader->next = offset + 1;
        if (offset >= at.offset) {
            mail->is_gone = !mail->is_done;
            return mail->is_done
                       ? CLIENT_OK
                       : client_fail(error, CLIENT_NOT_FOUND, NULL, "it is not there any more");
        }
    }
    return status != CLIENT_OK ? status
                               : client_fail(error, CLIENT_TIMED_OUT, NULL, "no answer in time");
}

/* A place behind the end would be waited for in vain, and one without partition, too. */
static enum client_status find_letter(struct lane_log *log, struct lane_letter at, int64_t *end,
                                      struct lane_mail *mail, struct client_error *error)
{
    struct topic_partitions one = {0};
    struct admin_bounds bounds;
    topic_partitions_add(&one, log->dlq_topic, at.partition, at.offset);
    enum client_status status = admin_bounds(log->connection, &one, &bounds, error);
    topic_partitions_deinit(&one);
    *end = status == CLIENT_OK ? bounds.end : 0;
    if (status == CLIENT_NOT_FOUND ||
        (status == CLIENT_OK && (at.offset < bounds.start || at.offset >= bounds.end))) {
        mail->is_gone = true;
        status = client_fail(error, CLIENT_NOT_FOUND, NULL, "it is not there (any more)");
    }
    return status;
}

void lane_log_load(struct lane_log *log, const struct lane_order_of *order)
{
    bool is_letter = order->kind == LANE_ORDER_LETTER;
    struct lane_mail *mail =
        lane_mail_new(is_letter ? LANE_MAIL_LETTER : LANE_MAIL_LOADED, order->token);
    struct client_error error = {0};
    struct lane_loader *loader = NULL;
    int64_t end = -1;
    struct lane_letter at = {is_letter ? order->letter_partition
                                       : lane_log_place(log, order->partition),
                             order->position};
    enum client_status status = CLIENT_OK;
    if (at.partition < 0) {
        status = client_fail(&error, CLIENT_NOT_FOUND, NULL, "its topic is not known");
    } else if (is_letter && !is_known(log, at)) {
        status = find_letter(log, at, &end, mail, &error);
    }
    if (status == CLIENT_OK) {
        status = go_to(log, is_letter, at, &loader, &error);
    }
    if (status == CLIENT_OK) {
        loader->end = end >= 0 ? end : loader->end;
        status = read_at(log, loader, at, mail, &error);
    }
    if (status != CLIENT_OK) {
        snprintf(mail->why, sizeof mail->why, "%.150s", error.text);
        if (loader != NULL) {
            close_loader(loader); /* begin anew */
        }
    }
    lane_runner_post(log->runner, mail);
}

void lane_log_look(struct lane_log *log, const struct lane_order_of *order)
{
    struct topic_partitions one = {0};
    struct admin_bounds bounds;
    topic_partitions_add(&one, order->topic, order->partition, -1);
    if (admin_bounds(log->connection, &one, &bounds, NULL) == CLIENT_OK) {
        struct lane_mail *mail = lane_mail_new(LANE_MAIL_START, NULL);
        mail->position = bounds.start;
        mail->end = bounds.end;
        mail->share = (struct lane_share){arena_cstr(&mail->arena, slice_str(order->topic)),
                                          order->partition, order->epoch};
        lane_runner_post(log->runner, mail);
    }
    topic_partitions_deinit(&one);
}
