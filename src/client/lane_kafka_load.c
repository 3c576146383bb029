#include "client/lane_kafka_inside.h"

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

/*
 * The loader stands at the position then, or a little before. It is opened anew where it is to
 * jump: a seek would wait until the fetch that is on its way is answered.
 */
static enum client_status go_to(struct lane_log *log, struct lane_loader *loader, const char *topic,
                                struct lane_letter at, struct client_error *error)
{
    enum { NEAR = 200 };
    struct topic_partitions one = {0};
    if (loader->reader != NULL && loader->partition == at.partition && at.offset >= loader->next &&
        at.offset - loader->next < NEAR) {
        return CLIENT_OK;
    }
    (void)reader_close(loader->reader, NULL);
    loader->reader = NULL;
    topic_partitions_add(&one, topic, at.partition, at.offset);
    struct reader_settings settings = lane_log_reader(log, &one);
    enum client_status status = reader_open(&settings, &loader->reader, error);
    topic_partitions_deinit(&one);
    loader->partition = at.partition;
    loader->next = at.offset;
    return status;
}

/* A copy, in the arena of the mail. */
static void keep_letter(struct lane_mail *mail, const struct event *event)
{
    struct arena *arena = &mail->arena;
    struct event *kept = &mail->record.event;
    *kept = *event;
    kept->topic = arena_cstr(arena, slice_str(event->topic));
    if (!slice_is_null(event->key)) {
        kept->key = slice_of(arena_cstr(arena, event->key), event->key.size);
    }
    if (!slice_is_null(event->value)) {
        kept->value = slice_of(arena_cstr(arena, event->value), event->value.size);
    }
    event_header_room(kept, 0, arena);
    for (size_t i = 0; i < kept->header_count; i++) {
        struct event_header *header = &kept->headers[i];
        header->name = arena_cstr(arena, slice_str(header->name));
        if (!slice_is_null(header->value)) {
            header->value = slice_of(arena_cstr(arena, header->value), header->value.size);
        }
    }
}

/* What stands at the position into the mail; false: it is not what is wanted. */
static bool take(struct lane_mail *mail, const struct event *event)
{
    if (mail->kind == LANE_MAIL_LETTER) {
        keep_letter(mail, event);
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
    while (status == CLIENT_OK && clock_mono_ms(clock_system()) < until_ms) {
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
static enum client_status find_letter(struct lane_log *log, struct lane_letter at,
                                      struct lane_mail *mail, struct client_error *error)
{
    struct lane_loader *loader = &log->letters;
    struct topic_partitions one = {0};
    struct admin_bounds bounds;
    topic_partitions_add(&one, log->dlq_topic, at.partition, at.offset);
    enum client_status status = admin_bounds(log->connection, &one, &bounds, error);
    topic_partitions_deinit(&one);
    loader->end = status == CLIENT_OK ? bounds.end : 0;
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
    struct lane_loader *loader = is_letter ? &log->letters : &log->asides;
    struct lane_letter at = {is_letter ? order->letter_partition
                                       : lane_log_place(log, order->partition),
                             order->position};
    enum client_status status = CLIENT_OK;
    if (at.partition < 0) {
        status = client_fail(&error, CLIENT_NOT_FOUND, NULL, "its topic is not known");
    } else if (is_letter && (loader->partition != at.partition || at.offset < loader->next ||
                             at.offset >= loader->end)) {
        status = find_letter(log, at, mail, &error);
    }
    if (status == CLIENT_OK) {
        status = go_to(log, loader, is_letter ? log->dlq_topic : log->lanes_topic, at, &error);
    }
    if (status == CLIENT_OK) {
        status = read_at(log, loader, at, mail, &error);
    }
    if (status != CLIENT_OK) {
        loader->partition = -1; /* begin anew */
        snprintf(mail->why, sizeof mail->why, "%.150s", error.text);
    }
    lane_runner_post(log->runner, mail);
}
