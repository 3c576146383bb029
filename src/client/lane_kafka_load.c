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
static enum client_status go_to(struct lane_log *log, int32_t place, int64_t position,
                                struct client_error *error)
{
    enum { NEAR = 200 };
    struct topic_partitions one = {0};
    if (log->loader != NULL && log->loads_from == place && position >= log->loads_next &&
        position - log->loads_next < NEAR) {
        return CLIENT_OK;
    }
    (void)reader_close(log->loader, NULL);
    log->loader = NULL;
    topic_partitions_add(&one, log->lanes_topic, place, position);
    struct reader_settings settings = lane_log_reader(log, &one);
    enum client_status status = reader_open(&settings, &log->loader, error);
    topic_partitions_deinit(&one);
    log->loads_from = place;
    log->loads_next = position;
    return status;
}

static enum client_status read_at(struct lane_log *log, int32_t place, int64_t position,
                                  struct lane_mail *mail, struct client_error *error)
{
    int64_t until_ms = clock_mono_ms(clock_system()) + connection_timeout_ms(log->connection);
    enum client_status status = CLIENT_OK;
    while (status == CLIENT_OK && clock_mono_ms(clock_system()) < until_ms) {
        struct received *received;
        status = reader_take(log->loader, LANE_LOG_TURN_MS, &received, error);
        if (received == NULL || received->event.partition != place) {
            received_free(received);
            continue;
        }
        int64_t offset = received->event.offset;
        bool is_it =
            offset == position && !slice_is_null(received->event.value) &&
            lane_record_read(received->event.value, &mail->arena, &mail->record) == ERR_NONE;
        received_free(received);
        log->loads_next = offset + 1;
        if (offset >= position) {
            mail->is_done = is_it;
            return is_it ? CLIENT_OK
                         : client_fail(error, CLIENT_NOT_FOUND, NULL, "it is not there any more");
        }
    }
    return status != CLIENT_OK ? status
                               : client_fail(error, CLIENT_TIMED_OUT, NULL, "no answer in time");
}

void lane_log_load(struct lane_log *log, const struct lane_order_of *order)
{
    struct lane_mail *mail = lane_mail_new(LANE_MAIL_LOADED, order->token);
    struct client_error error = {0};
    int32_t place = lane_log_place(log, order->partition);
    enum client_status status =
        place < 0 ? client_fail(&error, CLIENT_NOT_FOUND, NULL, "its topic is not known")
                  : go_to(log, place, order->position, &error);
    if (status == CLIENT_OK) {
        status = read_at(log, place, order->position, mail, &error);
    }
    if (status != CLIENT_OK) {
        log->loads_from = -1; /* begin anew */
        snprintf(mail->why, sizeof mail->why, "%.150s", error.text);
    }
    lane_runner_post(log->runner, mail);
}
