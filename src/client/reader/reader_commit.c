#include "client/reader/reader_inside.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { AGAIN_MS = 1000, HELD_UP_MS = 10 };

/* Progress is written down: what was marked, and not for a topic that was made anew meanwhile. */

static void tell_committed(struct reader *reader, struct reader_partition *partition,
                           bool is_stored)
{
    if (reader->callbacks.committed == NULL || partition->sent != partition->marks ||
        partition->told == partition->marks) {
        return;
    }
    struct reader_commit_answer answer = {.topic = partition->topic,
                                          .partition = partition->number,
                                          .epoch = partition->epoch,
                                          .is_stored = is_stored};
    partition->told = is_stored ? partition->marks : partition->told;
    reader->callbacks.committed(reader->context, &answer);
}

/* The bus answered a commit. */
static void commit_answered(struct reader *reader, rd_kafka_resp_err_t code,
                            const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; list != NULL && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &list->elems[i];
        struct reader_partition *partition = reader_find(reader, at->topic, at->partition);
        if (partition == NULL) {
            continue;
        }
        bool is_stored =
            code == RD_KAFKA_RESP_ERR_NO_ERROR && at->err == RD_KAFKA_RESP_ERR_NO_ERROR;
        partition->stored = is_stored ? at->offset : partition->stored;
        if (!is_stored || at->offset != partition->committed) {
            /* The next commit sends it again: also when an older one was answered last. */
            partition->committed = -1;
        }
        tell_committed(reader, partition, is_stored);
    }
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR__NO_OFFSET) {
        return;
    }
    reader->next_commit_ms = clock_mono_ms(clock_system()) + AGAIN_MS; /* refused: not at once */
    struct client_error what;
    client_fail_code(&what, code, NULL);
    if (what.status == CLIENT_FATAL) {
        what.status = CLIENT_REFUSED; /* whether it is the end, reader_take will tell */
    }
    snprintf(what.text, sizeof what.text,
             "progress could not be written down (%s); events since then may come again",
             rd_kafka_err2str(code));
    reader_notice(reader, &what);
}

void reader_on_commit(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                      rd_kafka_topic_partition_list_t *list, void *opaque)
{
    struct reader *reader = opaque;
    if (rk == reader->connection.rk) { /* else of a handle that was replaced */
        reader->is_committing = false;
    }
    commit_answered(reader, code, list);
    rd_kafka_yield(rk); /* whoever waits in reader_take may go on by what the answer says */
}

/* There is news to commit. */
static bool has_news(const struct reader_partition *partition)
{
    return partition->mark >= 0 && partition->mark != partition->committed &&
           partition->place_at_ms == 0;
}

/*
 * A bus forgets a topic's commits when it deletes the topic. So when one is missing that it had,
 * the topic was made anew, and what was read since may have begun in the middle of it: the commit
 * would hide that for good. (Topic ids, KIP-516, would tell it at once; librdkafka 2.0.2 has none.)
 * It is asked also when nothing is known to be stored: the answer is of use for look_ahead, too.
 */
static void check_stored(struct reader *reader)
{
    enum { PATIENCE_MS = 2000 };
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)HASH_COUNT(reader->partitions) + 1);
    for (const struct reader_partition *p = reader->partitions; p != NULL; p = p->hh.next) {
        if (has_news(p)) {
            rd_kafka_topic_partition_list_add(list, p->topic, p->number);
        }
    }
    int left_ms = reader_patience_ms(reader);
    bool is_known =
        list->cnt > 0 && kafka_ask_committed(&reader->connection, list,
                                             left_ms < PATIENCE_MS ? left_ms : PATIENCE_MS) == 0;
    for (int i = 0; is_known && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &list->elems[i];
        struct reader_partition *partition = reader_find(reader, at->topic, at->partition);
        if (at->err == RD_KAFKA_RESP_ERR_NO_ERROR && at->offset < 0 && partition->stored >= 0) {
            partition->is_reborn = true;
            reader_misplaced(reader, partition, partition->stored);
        }
    }
    rd_kafka_topic_partition_list_destroy(list);
}

/* Marked again as the bus has it: answered without asking. */
static void tell_old_news(struct reader *reader, struct reader_partition *partition)
{
    if (!has_news(partition) && partition->place_at_ms == 0 && partition->mark >= 0 &&
        partition->stored == partition->mark) {
        partition->sent = partition->marks;
        tell_committed(reader, partition, true);
    }
}

static void add_mark(struct reader_partition *partition, rd_kafka_topic_partition_list_t *list)
{
    if (!has_news(partition)) {
        return;
    }
    partition->sent = partition->marks;
    rd_kafka_topic_partition_t *element =
        rd_kafka_topic_partition_list_add(list, partition->topic, partition->number);
    element->offset = partition->mark;
    if (partition->metadata != NULL) {
        element->metadata = strdup(partition->metadata); /* librdkafka frees it */
        element->metadata_size = strlen(partition->metadata);
    }
    partition->committed = partition->mark;
}

int reader_patience_ms(const struct reader *reader)
{
    int64_t left_ms = reader->close_by_ms - clock_mono_ms(clock_system());
    int most_ms = connection_timeout_ms(&reader->connection);
    return reader->close_by_ms == 0 || left_ms > most_ms ? most_ms : left_ms > 0 ? (int)left_ms : 0;
}

rd_kafka_resp_err_t reader_commit_list(struct reader *reader,
                                       const rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_queue_t *answers = rd_kafka_queue_new(reader->connection.rk);
    rd_kafka_resp_err_t code =
        rd_kafka_commit_queue(reader->connection.rk, list, answers, NULL, NULL);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_event_t *answer =
            kafka_await(&reader->connection, answers, reader_patience_ms(reader));
        code = answer != NULL ? rd_kafka_event_error(answer) : RD_KAFKA_RESP_ERR__TIMED_OUT;
        rd_kafka_event_destroy(answer);
    }
    rd_kafka_queue_destroy(answers);
    return code;
}

/* Sends and destroys the list. */
static enum client_status send_commit(struct reader *reader, rd_kafka_topic_partition_list_t *list,
                                      bool wait, struct client_error *error)
{
    enum client_status status = CLIENT_OK;
    if (list->cnt > 0) {
        rd_kafka_resp_err_t code = wait ? reader_commit_list(reader, list)
                                        : rd_kafka_commit(reader->connection.rk, list, 1);
        if (!wait) {
            reader->is_committing = code == RD_KAFKA_RESP_ERR_NO_ERROR;
        }
        if (wait || code != RD_KAFKA_RESP_ERR_NO_ERROR) {
            commit_answered(reader, code, list);
        }
        status = connection_fail(&reader->connection, error, code, NULL);
    }
    rd_kafka_topic_partition_list_destroy(list);
    return status;
}

static bool has_any_news(const struct reader *reader)
{
    const struct reader_partition *p = reader->partitions;
    while (p != NULL && !has_news(p)) {
        p = p->hh.next;
    }
    return p != NULL;
}

/* Looks before a commit is sent. False: it might arrive behind a JoinGroup (reader_calm.c). */
static bool look_ahead(struct reader *reader)
{
    enum { CALM = 2 };
    long news = reader_calm_news(reader);
    if (!has_any_news(reader)) {
        return true;
    }
    if (atomic_load(&reader->handle->is_joining)) {
        return false; /* what is asked now is answered behind that */
    }
    check_stored(reader);
    reader->calm = news != reader->calm_news ? 1 : reader->calm < CALM ? reader->calm + 1 : CALM;
    reader->calm_news = news;
    return reader->calm == CALM && reader_calm_news(reader) == news &&
           !reader_calm_may_join(reader);
}

/* Somebody waits for the answer, and the group may be moving: that ends soon, and what is held is
 * held until this thread gives it back. */
static void await_calm(struct reader *reader)
{
    enum { MOST_MS = 10000 };
    const struct timespec a_moment = {.tv_nsec = HELD_UP_MS * 1000000};
    int patience_ms = reader_patience_ms(reader);
    int64_t until_ms =
        clock_mono_ms(clock_system()) + (patience_ms < MOST_MS ? patience_ms : MOST_MS);
    while (!look_ahead(reader) && clock_mono_ms(clock_system()) < until_ms &&
           reader_patience_ms(reader) > 0) {
        nanosleep(&a_moment, NULL);
    }
}

enum client_status reader_commit(struct reader *reader, bool wait, struct client_error *error)
{
    if (reader->callbacks.before_commit != NULL) {
        reader->callbacks.before_commit(reader->context);
    }
    reader->has_marks = false;
    if (reader->is_rebalancing) {
        check_stored(reader); /* nothing is sent before this ends */
    } else if (wait) {
        await_calm(reader);
    } else if (!look_ahead(reader)) {
        reader->has_marks = true;
        reader->next_commit_ms = clock_mono_ms(clock_system()) + HELD_UP_MS;
        return CLIENT_OK;
    }
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)HASH_COUNT(reader->partitions) + 1);
    for (struct reader_partition *p = reader->partitions; p != NULL; p = p->hh.next) {
        tell_old_news(reader, p);
        add_mark(p, list);
    }
    return send_commit(reader, list, wait, error);
}

void reader_commit_before_leaving(struct reader *reader,
                                  const rd_kafka_topic_partition_list_t *leaving)
{
    if (reader->commits_elsewhere) {
        return;
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(leaving->cnt + 1);
    check_stored(reader);
    for (int i = 0; i < leaving->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &leaving->elems[i];
        struct reader_partition *partition = reader_find(reader, at->topic, at->partition);
        if (partition != NULL) {
            add_mark(partition, list);
        }
    }
    (void)send_commit(reader, list, true, NULL); /* a refusal is a notice */
}

int reader_commit_wait_ms(const struct reader *reader, int most_ms)
{
    int64_t left_ms = reader->next_commit_ms - clock_mono_ms(clock_system());
    bool is_next =
        reader->has_marks && !reader->is_committing && left_ms > 0; /* else it is held up */
    return is_next && left_ms < most_ms ? (int)left_ms : most_ms;
}

/* One at a time: librdkafka tries again what the bus was away for, and an older commit that comes
 * behind a newer one would take progress back. */
void reader_commit_due(struct reader *reader)
{
    int64_t now_ms = clock_mono_ms(clock_system());
    if (!reader->commits_elsewhere && now_ms >= reader->next_commit_ms && !reader->is_committing &&
        !atomic_load(&reader->handle->is_joining) &&
        !rd_kafka_assignment_lost(reader->connection.rk)) {
        reader->next_commit_ms = now_ms + reader->commit_interval_ms;
        (void)reader_commit(reader, false, NULL); /* a refusal is a notice */
    }
}
