#include "client/lane_kafka/lane_kafka_inside.h"

#include "base/mem.h"
#include "base/plural.h"

#include <inttypes.h>
#include <stdio.h>

enum { AGAIN_MS = 1000 };

/*
 * A record of lanes.<group> or a dead letter is in no hurry: its lane waits anyway. With less each
 * is sent alone, and while five of a partition are not acknowledged and more wait the thread of
 * librdkafka (2.0) that sends runs in a circle.
 */
enum { LINGER_MS = 20 };

struct lane_kafka {
    struct lane_kafka_settings settings;
    struct lane_runner_settings runner_settings;
    struct lane_runner *runner;
    struct reader *reader;
    struct publisher *lanes;
    struct publisher *dlq;
    atomic_bool is_broken; /* lanes: a record failed, and so do all behind it */
    struct lane_log log;
    struct lane_txn txn;
    struct topic_partitions told; /* by the last transaction */
    struct topic_partitions held;
    struct topic_partitions unplaced; /* held, and the group's commit could not be asked for */
    int64_t place_at_ms;
};

static void say(struct lane_kafka *kafka, enum lane_log_level level, const char *text)
{
    if (kafka->runner_settings.log != NULL) {
        kafka->runner_settings.log(kafka->runner_settings.context, level, text);
    }
}

/* --- the reader's callbacks --- */

static void say_held(struct lane_kafka *kafka)
{
    struct buf text = {0};
    buf_printf(&text, "holds %zu partition%s%s", kafka->held.count, plural_s(kafka->held.count),
               kafka->held.count > 0 ? ":" : "");
    for (size_t i = 0; i < kafka->held.count; i++) {
        const struct topic_partition *at = &kafka->held.items[i];
        buf_printf(&text, " %s/%d", at->topic, (int)at->partition);
    }
    say(kafka, LANE_LOG_INFO, buf_cstr(&text));
    buf_deinit(&text);
}

static void assigned(void *context, const struct topic_partitions *partitions)
{
    struct lane_kafka *kafka = context;
    if (kafka->runner_settings.transacts && reader_was_replaced(kafka->reader)) {
        lane_bus_replaced(kafka->runner);
    }
    for (size_t i = 0; i < partitions->count; i++) {
        const struct topic_partition *at = &partitions->items[i];
        topic_partitions_add(&kafka->held, at->topic, at->partition, -1);
        if (at->offset < 0) {
            topic_partitions_add(&kafka->unplaced, at->topic, at->partition, -1);
            continue;
        }
        struct lane_share share = {at->topic, at->partition,
                                   reader_epoch(kafka->reader, at->topic, at->partition)};
        lane_bus_assigned(kafka->runner, &share, at->offset, at->metadata, false);
    }
    lane_bus_joined(kafka->runner, true);
    if (partitions->count > 0) {
        say_held(kafka);
    }
}

static void forget(struct topic_partitions *list, const struct topic_partition *at)
{
    struct topic_partitions kept = {0};
    for (size_t i = 0; i < list->count; i++) {
        const struct topic_partition *one = &list->items[i];
        if (one->partition != at->partition || strcmp(one->topic, at->topic) != 0) {
            topic_partitions_add(&kept, one->topic, one->partition, -1);
        }
    }
    topic_partitions_deinit(list);
    *list = kept;
}

static void revoked(void *context, const struct topic_partitions *partitions, bool is_lost)
{
    struct lane_kafka *kafka = context;
    struct lane_share *shares = mem_new_array(struct lane_share, partitions->count + 1);
    for (size_t i = 0; i < partitions->count; i++) {
        const struct topic_partition *at = &partitions->items[i];
        shares[i] = (struct lane_share){at->topic, at->partition,
                                        reader_epoch(kafka->reader, at->topic, at->partition)};
        forget(&kafka->unplaced, at);
        forget(&kafka->held, at);
    }
    lane_bus_revoked(kafka->runner, shares, partitions->count, is_lost);
    if (is_lost) {
        lane_bus_joined(kafka->runner, false);
    }
    if (partitions->count > 0) {
        say_held(kafka);
    }
    free(shares);
}

/* A commit behind the last event alone would leave the mark of its transaction as lag. */
static void ended(void *context, const char *topic, int32_t partition, int64_t offset)
{
    struct lane_kafka *kafka = context;
    struct lane_share share = {topic, partition, reader_epoch(kafka->reader, topic, partition)};
    lane_bus_reached(kafka->runner, &share, offset);
}

static void committed(void *context, const struct reader_commit_answer *answer)
{
    struct lane_kafka *kafka = context;
    struct lane_share share = {answer->topic, answer->partition, answer->epoch};
    lane_bus_committed(kafka->runner, &share, answer->is_stored);
}

static void gone(void *context, const struct reader_gap *gap)
{
    struct lane_kafka *kafka = context;
    char text[700];
    if (gap->is_new_topic) {
        snprintf(text, sizeof text,
                 "%.249s/%d: the topic was deleted and made again since this service stood at "
                 "offset %" PRId64 "; handling it from its start, offset %" PRId64,
                 gap->topic, (int)gap->partition, gap->from, gap->to);
    } else {
        snprintf(text, sizeof text,
                 "%.249s/%d: the events from offset %" PRId64 " to %" PRId64
                 " are gone, expired or deleted before this service had them; going on at %" PRId64,
                 gap->topic, (int)gap->partition, gap->from, gap->to - 1, gap->to);
    }
    say(kafka, LANE_LOG_WARN, text);
    if (gap->is_new_topic) {
        struct lane_share share = {gap->topic, gap->partition,
                                   reader_epoch(kafka->reader, gap->topic, gap->partition)};
        lane_bus_assigned(kafka->runner, &share, gap->to, NULL, true);
    }
}

/* Where one begins whose commit could not be had when it was given: there, or as a group does that
 * has none. False: not now. */
static bool place(struct lane_kafka *kafka, const struct topic_partition *at)
{
    struct lane_share share = {at->topic, at->partition,
                               reader_epoch(kafka->reader, at->topic, at->partition)};
    int64_t offset = at->offset;
    enum client_status status = share.epoch != 0 ? CLIENT_OK : CLIENT_NOT_FOUND;
    if (status == CLIENT_OK && offset < 0) {
        status = reader_begin(kafka->reader, at->topic, at->partition, &offset, NULL);
    }
    if (status == CLIENT_OK) {
        status = reader_seek(kafka->reader, at->topic, at->partition, offset, NULL);
    }
    if (status == CLIENT_OK) {
        lane_bus_assigned(kafka->runner, &share, offset, at->metadata, false);
    }
    return status == CLIENT_OK;
}

static void place_due(struct lane_kafka *kafka)
{
    struct topic_partitions offsets = {0};
    if (kafka->unplaced.count == 0) {
        return;
    }
    int64_t now_ms = clock_mono_ms(clock_system());
    if (now_ms < kafka->place_at_ms) {
        return;
    }
    kafka->place_at_ms = now_ms + AGAIN_MS;
    topic_partitions_append(&offsets, &kafka->unplaced);
    if (reader_committed(kafka->reader, &offsets, NULL) == CLIENT_OK) {
        for (size_t i = 0; i < offsets.count; i++) {
            if (place(kafka, &offsets.items[i])) {
                forget(&kafka->unplaced, &offsets.items[i]);
            }
        }
    }
    topic_partitions_deinit(&offsets);
}

/* --- the runner's calls --- */

/* Has the reader want other topics, if they are. */
static void subscribe_due(struct lane_kafka *kafka)
{
    struct client_error error;
    if (!atomic_load_explicit(&kafka->log.are_other, memory_order_relaxed) ||
        !atomic_exchange(&kafka->log.are_other, false)) {
        return;
    }
    struct lane_names names = lane_log_sources(&kafka->log);
    const char **topics = mem_new_array(const char *, names.count);
    for (size_t i = 0; i < names.count; i++) {
        topics[i] = names.items[i];
    }
    if (reader_subscribe(kafka->reader, topics, names.count, &error) != CLIENT_OK) {
        say(kafka, LANE_LOG_WARN, error.text);
    }
    free(topics);
    lane_names_free(&names);
}

static enum client_status take(void *context, int timeout_ms, struct received **received,
                               struct client_error *error)
{
    struct lane_kafka *kafka = context;
    subscribe_due(kafka);
    place_due(kafka);
    return reader_take(kafka->reader, timeout_ms, received, error);
}

static void release(void *context, struct received *received)
{
    (void)context;
    received_free_here(received);
}

static bool mark(void *context, const struct lane_share *share, int64_t offset,
                 const char *metadata)
{
    struct lane_kafka *kafka = context;
    return reader_mark(kafka->reader, share->topic, share->partition, share->epoch, offset,
                       metadata);
}

static void commit(void *context)
{
    struct lane_kafka *kafka = context;
    (void)reader_commit(kafka->reader, true, NULL); /* each partition's answer tells */
}

/* What the last transaction told, if it was committed; and topics that it found to be others. */
static void note_last(struct lane_kafka *kafka)
{
    struct topic_partitions reborn = {0};
    bool was_committed = lane_txn_last(&kafka->txn, &reborn);
    for (size_t i = 0; was_committed && i < kafka->told.count; i++) {
        const struct topic_partition *at = &kafka->told.items[i];
        reader_note_stored(kafka->reader, at->topic, at->partition, at->offset);
    }
    for (size_t i = 0; i < reborn.count; i++) {
        reader_note_reborn(kafka->reader, reborn.items[i].topic, reborn.items[i].partition);
    }
    topic_partitions_deinit(&reborn);
    topic_partitions_deinit(&kafka->told);
}

static void transact(void *context, struct lane_transaction *transaction)
{
    struct lane_kafka *kafka = context;
    struct topic_partitions *offsets = &transaction->offsets;
    note_last(kafka);
    for (size_t i = offsets->count; i > 0; i--) {
        const struct topic_partition *at = &offsets->items[i - 1];
        if (reader_is_reborn(kafka->reader, at->topic, at->partition)) {
            lane_transaction_leave_out(transaction, i - 1); /* a commit would hide that */
        } else if (reader_has_stored(kafka->reader, at->topic, at->partition)) {
            topic_partitions_add(&transaction->stored, at->topic, at->partition, -1);
        }
    }
    topic_partitions_append(&kafka->told, offsets);
    reader_membership(kafka->reader, &transaction->member);
    lane_txn_give(&kafka->txn, transaction);
}

/* Events of before do not come with the new epochs: what was read ahead is given up by the seek. */
static void begin_anew(void *context)
{
    struct lane_kafka *kafka = context;
    kafka->place_at_ms = 0;
    for (size_t i = 0; i < kafka->held.count; i++) {
        const struct topic_partition *at = &kafka->held.items[i];
        reader_renew(kafka->reader, at->topic, at->partition);
        if (topic_partitions_find(&kafka->unplaced, at->topic, at->partition) == NULL) {
            topic_partitions_add(&kafka->unplaced, at->topic, at->partition, -1);
        }
    }
}

static bool set_pause(void *context, const struct lane_share *share, bool pauses)
{
    struct lane_kafka *kafka = context;
    enum client_status status =
        pauses ? reader_pause(kafka->reader, share->topic, share->partition, NULL)
               : reader_resume(kafka->reader, share->topic, share->partition, NULL);
    return status == CLIENT_OK;
}

static void watch(void *context, const struct lane_share *share)
{
    struct lane_kafka *kafka = context;
    lane_log_order(&kafka->log, LANE_ORDER_WATCH, share, -1, NULL);
}

static void unwatch(void *context, const struct lane_share *share)
{
    struct lane_kafka *kafka = context;
    lane_log_order(&kafka->log, LANE_ORDER_UNWATCH, share, -1, NULL);
}

static void load(void *context, const struct lane_share *share, int64_t position, void *token)
{
    struct lane_kafka *kafka = context;
    lane_log_order(&kafka->log, LANE_ORDER_LOAD, share, position, token);
}

static void load_letter(void *context, const struct lane_share *share, struct lane_letter letter,
                        void *token)
{
    struct lane_kafka *kafka = context;
    lane_log_order_letter(&kafka->log, share, letter, token);
}

static void ask_start(void *context, const struct lane_share *share)
{
    struct lane_kafka *kafka = context;
    lane_log_order(&kafka->log, LANE_ORDER_START, share, -1, NULL);
}

static int64_t known_end(void *context, const struct lane_share *share)
{
    struct lane_kafka *kafka = context;
    return reader_known_end(kafka->reader, share->topic, share->partition);
}

/* A publisher that is gapless gives up all behind a record that failed, and takes no more. */
static enum client_status open_lanes(struct lane_kafka *kafka, struct client_error *error);

static enum client_status mend(struct lane_kafka *kafka, struct client_error *error)
{
    if (publisher_pending(kafka->lanes) > 0) {
        return client_fail(error, CLIENT_FULL, NULL, "those before are not answered yet");
    }
    publisher_close(kafka->lanes);
    kafka->lanes = NULL;
    atomic_store(&kafka->is_broken, false);
    enum client_status status = open_lanes(kafka, error);
    atomic_store(&kafka->is_broken, status != CLIENT_OK);
    return status;
}

static enum client_status append(void *context, const struct lane_share *share, struct slice key,
                                 struct slice value, void *token, struct client_error *error)
{
    struct lane_kafka *kafka = context;
    enum client_status status = CLIENT_OK;
    struct event event = event_blank();
    int places = atomic_load(&kafka->log.place_count);
    if (atomic_load(&kafka->is_broken)) {
        status = kafka->lanes != NULL ? mend(kafka, error) : open_lanes(kafka, error);
        atomic_store(&kafka->is_broken, status != CLIENT_OK);
    }
    if (status != CLIENT_OK) {
        return status;
    }
    event.topic = kafka->log.lanes_topic;
    event.partition = places > 0 ? share->partition % places : 0;
    event.key = key;
    event.value = value;
    return publisher_publish(kafka->lanes, &event, token, error);
}

static enum client_status bury(void *context, const struct event *letter, void *token,
                               struct client_error *error)
{
    struct lane_kafka *kafka = context;
    return publisher_publish(kafka->dlq, letter, token, error);
}

static void wake(void *context)
{
    struct lane_kafka *kafka = context;
    reader_wake(kafka->reader);
}

/* --- acknowledgements --- */

static void answer(struct lane_kafka *kafka, enum lane_mail_kind kind,
                   const struct publication *publication)
{
    struct lane_mail *mail = lane_mail_new(kind, publication->context);
    mail->is_done = publication->status == CLIENT_OK;
    mail->position = publication->offset;
    mail->partition = publication->partition;
    if (!mail->is_done) {
        snprintf(mail->why, sizeof mail->why, "%.190s", publication->error->text);
    }
    lane_runner_post(kafka->runner, mail);
}

static void appended(void *context, const struct publication *publication)
{
    struct lane_kafka *kafka = context;
    if (publication->status != CLIENT_OK) {
        atomic_store(&kafka->is_broken, true); /* before the runner hears of it */
    }
    answer(kafka, LANE_MAIL_APPENDED, publication);
}

static void buried(void *context, const struct publication *publication)
{
    answer(context, LANE_MAIL_BURIED, publication);
}

/* --- life --- */

enum { EVENT_MAX_BYTES = 100000000 }; /* the topics' own limits count */

static enum client_status open_lanes(struct lane_kafka *kafka, struct client_error *error)
{
    const struct connection_settings *connection = &kafka->settings.connection;
    size_t count = connection->property_count;
    const char **properties = mem_new_array(const char *, count + 1);
    for (size_t i = 0; i < count; i++) {
        properties[i] = connection->properties[i];
    }
    properties[count] = "enable.gapless.guarantee=true";
    struct publisher_settings settings = {.connection = *connection,
                                          .has_thread = true,
                                          .linger_ms = LINGER_MS,
                                          .event_max_bytes = EVENT_MAX_BYTES,
                                          .done = appended,
                                          .done_context = kafka};
    settings.connection.properties = properties;
    settings.connection.property_count = count + 1;
    settings.connection.notice = NULL; /* the reader tells the same */
    enum client_status status = publisher_open(&settings, &kafka->lanes, error);
    free(properties);
    return status;
}

static enum client_status open_dlq(struct lane_kafka *kafka, struct client_error *error)
{
    struct publisher_settings settings = {.connection = kafka->settings.connection,
                                          .has_thread = true,
                                          .linger_ms = LINGER_MS,
                                          .event_max_bytes = EVENT_MAX_BYTES,
                                          .done = buried,
                                          .done_context = kafka};
    settings.connection.notice = NULL;
    return publisher_open(&settings, &kafka->dlq, error);
}

static enum client_status open_reader(struct lane_kafka *kafka, struct client_error *error)
{
    enum { COMMIT_MS = 50 }; /* the machine knows when: this is how soon it is sent */
    const struct lane_kafka_settings *from = &kafka->settings;
    struct reader_settings settings = {.connection = from->connection,
                                       .group = from->group,
                                       .instance = from->instance,
                                       .topics = from->topics,
                                       .topic_count = from->topic_count,
                                       .from = from->from,
                                       .is_cooperative = true,
                                       .session_timeout_ms = from->session_timeout_ms,
                                       .commit_interval_ms = COMMIT_MS,
                                       .commits_elsewhere = kafka->runner_settings.transacts,
                                       .callbacks = {.assigned = assigned,
                                                     .revoked = revoked,
                                                     .ended = ended,
                                                     .committed = committed,
                                                     .gone = gone},
                                       .context = kafka};
    return reader_open(&settings, &kafka->reader, error);
}

static const struct lane_bus calls = {.take = take,
                                      .release = release,
                                      .mark = mark,
                                      .commit = commit,
                                      .pause = set_pause,
                                      .watch = watch,
                                      .unwatch = unwatch,
                                      .load = load,
                                      .load_letter = load_letter,
                                      .bounds = ask_start,
                                      .end = known_end,
                                      .append = append,
                                      .bury = bury,
                                      .transact = transact,
                                      .begin_anew = begin_anew,
                                      .wake = wake};

enum client_status lane_kafka_open(const struct lane_kafka_settings *settings,
                                   const struct lane_runner_settings *runner_settings,
                                   struct lane_runner *runner, struct lane_kafka **kafka,
                                   struct client_error *error)
{
    struct lane_kafka *opened = mem_new(struct lane_kafka);
    struct lane_bus bus = calls;
    opened->settings = *settings;
    opened->runner_settings = *runner_settings;
    opened->runner = runner;
    *kafka = NULL;
    bus.context = opened;
    lane_runner_set_bus(runner, &bus);
    enum client_status status = open_lanes(opened, error);
    if (status == CLIENT_OK) {
        status = open_dlq(opened, error);
    }
    if (status == CLIENT_OK) { /* a publisher's would make the topics by looking for them */
        status = connection_open(&settings->connection, &opened->log.connection, error);
    }
    if (status == CLIENT_OK) {
        opened->log.runner = runner;
        opened->log.settings = &opened->settings;
        opened->log.runner_settings = &opened->runner_settings;
        status = lane_log_start(&opened->log, error);
    }
    if (status == CLIENT_OK && runner_settings->transacts) {
        opened->txn.settings = &opened->settings;
        opened->txn.log = &opened->log;
        status = lane_txn_start(&opened->txn, error);
    }
    if (status == CLIENT_OK) {
        status = open_reader(opened, error);
    }
    if (status != CLIENT_OK) {
        lane_kafka_close(opened);
        return status;
    }
    *kafka = opened;
    return CLIENT_OK;
}

void lane_kafka_set_topics(struct lane_kafka *kafka, const char *const *topics, size_t count)
{
    lane_log_set_sources(&kafka->log, topics, count);
    reader_wake(kafka->reader);
}

void lane_kafka_close(struct lane_kafka *kafka)
{
    struct client_error error;
    if (kafka == NULL) {
        return;
    }
    lane_txn_stop(&kafka->txn);
    publisher_close(kafka->lanes);
    publisher_close(kafka->dlq);
    kafka->lanes = kafka->dlq = NULL;
    if (kafka->log.runner != NULL) {
        if (kafka->reader != NULL) { /* librdkafka waits for its messages when it is freed */
            lane_runner_take_late(kafka->runner);
        }
        lane_log_stop(&kafka->log);
    }
    connection_close(kafka->log.connection);
    if (reader_close(kafka->reader, &error) != CLIENT_OK) {
        char text[sizeof error.text + 128];
        snprintf(text, sizeof text,
                 "the group was not left in order (%s); others get its partitions when its session "
                 "is over",
                 error.text);
        say(kafka, LANE_LOG_WARN, text);
    }
    topic_partitions_deinit(&kafka->unplaced);
    topic_partitions_deinit(&kafka->held);
    topic_partitions_deinit(&kafka->told);
    free(kafka);
}
