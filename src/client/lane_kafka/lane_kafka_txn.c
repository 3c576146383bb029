#include "client/lane_kafka/lane_kafka_inside.h"

#include "base/cond.h"
#include "base/mem.h"
#include "base/random.h"

#include <stdio.h>

/*
 * The transaction thread: commits what the poll thread gives it, one transaction at a time, by a
 * producer of its own. All of a transaction is in memory before it is begun, so an open one waits
 * for nothing but the bus, and no longer than its time-out.
 *
 * An offset is committed with the generation of the membership under which its partition is held
 * (KIP-447): the bus refuses it when the group has gone on without this member, and who holds the
 * partition next does not get the group's offset before this transaction has ended.
 */

enum { STEP_MS = 500, AGAIN_MS = 1000, LEAST_MS = 5000 };

static bool is_ending(struct lane_txn *txn)
{
    return atomic_load(&txn->is_ending);
}

/* --- the producer --- */

static void on_done(void *context, const struct publication *publication)
{
    struct lane_publication *its = publication->context;
    struct lane_txn *txn = context;
    txn->unsettled--;
    if (its == NULL) { /* a record */
        if (publication->error != NULL && txn->failure.status == CLIENT_OK) {
            txn->failure = *publication->error;
        }
        return;
    }
    its->is_settled = true;
    its->partition = publication->partition;
    its->offset = publication->offset;
    if (publication->error != NULL) {
        its->error = *publication->error;
    }
}

static void close_producer(struct lane_txn *txn)
{
    publisher_close(txn->publisher);
    txn->publisher = NULL;
    txn->unsettled = 0;
}

static enum client_status open_producer(struct lane_txn *txn, struct client_error *error)
{
    enum { EVENT_MAX_BYTES = 100000000, OWN = 2 };
    const struct connection_settings *connection = &txn->settings->connection;
    int timeout_ms = lane_txn_timeout_ms(txn->settings);
    size_t count = connection->property_count;
    const char **properties = mem_new_array(const char *, count + OWN);
    char *timeout = mem_sprintf("transaction.timeout.ms=%d", timeout_ms);
    char *id = mem_sprintf("transactional.id=%s", txn->id);
    for (size_t i = 0; i < count; i++) {
        properties[i] = connection->properties[i];
    }
    properties[count] = timeout;
    properties[count + 1] = id;
    struct publisher_settings settings = {.connection = *connection,
                                          .event_timeout_ms = timeout_ms,
                                          .event_max_bytes = EVENT_MAX_BYTES,
                                          .done = on_done,
                                          .done_context = txn};
    settings.connection.properties = properties;
    settings.connection.property_count = count + OWN;
    settings.connection.notice = NULL; /* the reader tells the same */
    enum client_status status = publisher_open(&settings, &txn->publisher, error);
    free(id);
    free(timeout);
    free(properties);
    return status;
}

/* Whatever one of this id left open is ended by that. */
static enum client_status start_producer(struct lane_txn *txn, struct client_error *error)
{
    enum client_status status = CLIENT_OK;
    if (txn->publisher != NULL) {
        return CLIENT_OK;
    }
    status = open_producer(txn, error);
    while (status == CLIENT_OK) {
        status = publisher_txn_start(txn->publisher, STEP_MS, error);
        if (status != CLIENT_TIMED_OUT || is_ending(txn)) {
            break;
        }
        status = CLIENT_OK;
    }
    if (status != CLIENT_OK) {
        close_producer(txn);
    }
    return status;
}

int lane_txn_timeout_ms(const struct lane_kafka_settings *settings)
{
    enum { SESSION_MS = 10000 };
    int session_ms = settings->session_timeout_ms > 0 ? settings->session_timeout_ms : SESSION_MS;
    return session_ms > LEAST_MS ? session_ms : LEAST_MS;
}

/* --- one transaction --- */

static bool is_refusal(const struct client_error *error)
{
    return error->status != CLIENT_OK &&
           (error->code == 0
                ? error->status == CLIENT_INVALID || error->status == CLIENT_REFUSED ||
                      error->status == CLIENT_NOT_FOUND
                : client_is_about_event(error->code) || client_is_about_topic(error->code));
}

static bool knows_topic(const struct lane_txn *txn, const char *topic)
{
    size_t i = 0;
    while (i < txn->topics.count && strcmp(txn->topics.items[i], topic) != 0) {
        i++;
    }
    return i < txn->topics.count;
}

static void forget_topics(struct lane_txn *txn)
{
    lane_names_free(&txn->topics);
}

/* A topic that is missing would keep the transaction open until the client gives up on it. */
static void check_topic(struct lane_txn *txn, struct lane_publication *publication)
{
    struct admin_topics found;
    const char *topic = publication->event.topic;
    if (knows_topic(txn, topic)) {
        return;
    }
    enum client_status status =
        admin_topic(publisher_connection(txn->publisher), topic, true, &found, &publication->error);
    admin_topics_deinit(&found);
    if (status == CLIENT_OK) {
        vec_push(&txn->topics, mem_strdup(topic));
    }
}

/* False: some of them cannot be. */
static bool check_topics(struct lane_txn *txn, struct lane_transaction *transaction)
{
    struct lane_caused *caused;
    bool are_fine = true;
    DL_FOREACH (transaction->events, caused) {
        for (struct lane_publication *p = caused->publications; p != NULL; p = p->next) {
            check_topic(txn, p);
            caused->is_refused = caused->is_refused || is_refusal(&p->error);
            are_fine = are_fine && p->error.status == CLIENT_OK;
            if (p->error.status != CLIENT_OK && transaction->error.status == CLIENT_OK) {
                transaction->error = p->error;
            }
        }
    }
    return are_fine;
}

static enum client_status publish(struct lane_txn *txn, const struct event *event, void *context,
                                  struct client_error *error)
{
    enum client_status status;
    txn->unsettled++;
    do {
        status = publisher_publish(txn->publisher, event, context, error);
        if (status == CLIENT_FULL) {
            publisher_serve(txn->publisher, STEP_MS);
        }
    } while (status == CLIENT_FULL && !is_ending(txn));
    txn->unsettled -= status != CLIENT_OK;
    return status;
}

static enum client_status publish_caused(struct lane_txn *txn, struct lane_transaction *transaction)
{
    struct lane_caused *caused;
    enum client_status first = CLIENT_OK;
    DL_FOREACH (transaction->events, caused) {
        for (struct lane_publication *p = caused->publications; p != NULL; p = p->next) {
            enum client_status status = publish(txn, &p->event, p, &p->error);
            if (status != CLIENT_OK) {
                transaction->error = p->error;
                caused->is_refused = is_refusal(&p->error); /* the client itself knows which one */
                first = status;
            }
        }
    }
    return first;
}

static enum client_status publish_records(struct lane_txn *txn,
                                          struct lane_transaction *transaction)
{
    enum client_status status = CLIENT_OK;
    for (size_t i = 0; status == CLIENT_OK && i < transaction->records.count; i++) {
        const struct lane_transaction_record *record = &transaction->records.items[i];
        struct event event = event_blank();
        event.topic = txn->log->lanes_topic;
        event.partition = lane_log_place(txn->log, record->partition);
        event.key = buf_slice(&record->key);
        event.value = buf_slice(&record->value);
        status = publish(txn, &event, NULL, &transaction->error);
    }
    return status;
}

/* The first failure of what was sent; several may have one, as the bus refuses them together. */
static enum client_status find_failure(struct lane_txn *txn, struct lane_transaction *transaction)
{
    struct lane_caused *caused;
    struct client_error *error = &transaction->error;
    *error = txn->failure;
    DL_FOREACH (transaction->events, caused) {
        for (struct lane_publication *p = caused->publications; p != NULL; p = p->next) {
            if (p->error.status != CLIENT_OK &&
                (error->status == CLIENT_OK || (is_refusal(&p->error) && !is_refusal(error)))) {
                *error = p->error;
            }
        }
    }
    return error->status;
}

static enum client_status wait_settled(struct lane_txn *txn, struct lane_transaction *transaction)
{
    enum { LOOK_MS = 50 };
    while (txn->unsettled > 0) {
        publisher_serve(txn->publisher, LOOK_MS);
        if (txn->unsettled > 0 && is_ending(txn)) {
            return client_fail(&transaction->error, CLIENT_CLOSED, NULL, "the service ends");
        }
    }
    return find_failure(txn, transaction);
}

static enum client_status send_offsets(struct lane_txn *txn, struct lane_transaction *transaction)
{
    enum client_status status;
    do {
        status = publisher_txn_offsets_as(txn->publisher, buf_slice(&transaction->member),
                                          &transaction->offsets, STEP_MS, &transaction->error);
    } while (status == CLIENT_TIMED_OUT && !is_ending(txn));
    return status;
}

static enum client_status publish_all(struct lane_txn *txn, struct lane_transaction *transaction)
{
    txn->failure = (struct client_error){.status = CLIENT_OK};
    enum client_status status = publish_caused(txn, transaction);
    if (status == CLIENT_OK) {
        status = publish_records(txn, transaction);
    }
    return status == CLIENT_OK ? wait_settled(txn, transaction) : status;
}

/* Nothing of it counts. The producer is closed if it cannot go on. */
static void undo(struct lane_txn *txn)
{
    enum client_status status;
    do {
        status = publisher_txn_abort(txn->publisher, STEP_MS, NULL);
    } while (status == CLIENT_TIMED_OUT && !is_ending(txn));
    if (status != CLIENT_OK || txn->unsettled > 0) {
        close_producer(txn);
    }
}

static enum lane_transacted finish(struct lane_txn *txn, struct lane_transaction *transaction)
{
    enum client_status status;
    do {
        status = publisher_txn_commit(txn->publisher, STEP_MS, &transaction->error);
    } while (status == CLIENT_TIMED_OUT && !is_ending(txn));
    if (status == CLIENT_OK) {
        return LANE_COMMITTED;
    }
    close_producer(txn);
    return LANE_UNKNOWN;
}

/* A refused one that stands alone is to blame for it. */
static enum lane_transacted refuse(struct lane_transaction *transaction)
{
    struct lane_caused *first = transaction->events;
    if (first != NULL && first->next == NULL) {
        first->is_refused = true;
    }
    return LANE_REFUSED_EVENTS;
}

/*
 * The bus forgets a topic's commits when it deletes the topic: one that is missing tells that it
 * was made again, and what was read of it since may have begun in the middle. Another commit would
 * hide that for good.
 */
static enum client_status look_for_reborn(struct lane_txn *txn,
                                          struct lane_transaction *transaction)
{
    struct topic_partitions offsets, reborn = {0};
    struct client_error *error = &transaction->error;
    if (transaction->stored.count == 0) {
        return CLIENT_OK;
    }
    enum client_status status =
        admin_group_offsets(publisher_connection(txn->publisher), txn->settings->group,
                            &transaction->stored, &offsets, error);
    for (size_t i = 0; status == CLIENT_OK && i < transaction->stored.count; i++) {
        const struct topic_partition *at = &transaction->stored.items[i];
        if (topic_partitions_find(&offsets, at->topic, at->partition) == NULL) {
            topic_partitions_add(&reborn, at->topic, at->partition, -1);
        }
    }
    if (reborn.count > 0) {
        status = client_fail(error, CLIENT_CONFLICT, NULL, "%.100s was deleted and made again",
                             reborn.items[0].topic);
        pthread_mutex_lock(&txn->lock);
        topic_partitions_append(&txn->reborn, &reborn);
        pthread_mutex_unlock(&txn->lock);
    }
    topic_partitions_deinit(&reborn);
    topic_partitions_deinit(&offsets);
    return status;
}

static enum lane_transacted transact(struct lane_txn *txn, struct lane_transaction *transaction)
{
    struct client_error *error = &transaction->error;
    if (transaction->member.size == 0) {
        client_fail(error, CLIENT_UNREACHABLE, NULL, "this service is no member of its group now");
        return LANE_ABORTED;
    }
    if (start_producer(txn, error) != CLIENT_OK || look_for_reborn(txn, transaction) != CLIENT_OK) {
        return LANE_ABORTED;
    }
    if (!check_topics(txn, transaction)) {
        return is_refusal(error) ? LANE_REFUSED_EVENTS : LANE_ABORTED;
    }
    enum client_status status = publisher_txn_begin(txn->publisher, error);
    if (status != CLIENT_OK) {
        close_producer(txn);
        return LANE_ABORTED;
    }
    status = publish_all(txn, transaction);
    bool is_refused = status != CLIENT_OK && is_refusal(error);
    if (status == CLIENT_OK) {
        status = send_offsets(txn, transaction);
    }
    if (status == CLIENT_OK) {
        return finish(txn, transaction);
    }
    undo(txn);
    if (!is_refused) {
        return LANE_ABORTED;
    }
    forget_topics(txn); /* one may have been deleted */
    return refuse(transaction);
}

/* --- the thread --- */

static void answer(struct lane_txn *txn, struct lane_transaction *transaction,
                   enum lane_transacted outcome)
{
    transaction->outcome = outcome;
    pthread_mutex_lock(&txn->lock);
    txn->was_committed = outcome == LANE_COMMITTED;
    pthread_mutex_unlock(&txn->lock);
    lane_runner_post(txn->log->runner, lane_mail_new(LANE_MAIL_TRANSACTED, transaction));
}

/* The next one, NULL: none came in time, or the end. */
static struct lane_transaction *next(struct lane_txn *txn, bool is_started)
{
    pthread_mutex_lock(&txn->lock);
    while (txn->given == NULL && !is_ending(txn) && is_started) {
        pthread_cond_wait(&txn->came, &txn->lock);
    }
    struct lane_transaction *transaction = txn->given;
    txn->given = NULL;
    pthread_mutex_unlock(&txn->lock);
    return transaction;
}

static void rest(struct lane_txn *txn)
{
    struct timespec until = cond_after_ms(AGAIN_MS);
    pthread_mutex_lock(&txn->lock);
    while (!is_ending(txn) && pthread_cond_timedwait(&txn->came, &txn->lock, &until) == 0) {
    }
    pthread_mutex_unlock(&txn->lock);
}

static void *run(void *argument)
{
    struct lane_txn *txn = argument;
    while (!is_ending(txn)) {
        /* at once, and not with the first transaction: it ends what this instance left open */
        bool is_started = start_producer(txn, NULL) == CLIENT_OK;
        struct lane_transaction *transaction = next(txn, is_started);
        if (transaction != NULL) {
            answer(txn, transaction, transact(txn, transaction));
        }
        if (txn->publisher == NULL) {
            rest(txn);
        }
    }
    return NULL;
}

bool lane_txn_last(struct lane_txn *txn, struct topic_partitions *reborn)
{
    pthread_mutex_lock(&txn->lock);
    topic_partitions_append(reborn, &txn->reborn);
    topic_partitions_deinit(&txn->reborn);
    bool was_committed = txn->was_committed;
    pthread_mutex_unlock(&txn->lock);
    return was_committed;
}

void lane_txn_give(struct lane_txn *txn, struct lane_transaction *transaction)
{
    pthread_mutex_lock(&txn->lock);
    txn->given = transaction;
    pthread_cond_signal(&txn->came);
    pthread_mutex_unlock(&txn->lock);
}

enum client_status lane_txn_start(struct lane_txn *txn, struct client_error *error)
{
    char uuid[UUID_TEXT_SIZE];
    const struct lane_kafka_settings *settings = txn->settings;
    pthread_mutex_init(&txn->lock, NULL);
    cond_init(&txn->came);
    txn->id = mem_sprintf("%s.lanes.%s", settings->group,
                          settings->instance != NULL ? settings->instance : random_uuid_text(uuid));
    txn->has_thread = pthread_create(&txn->thread, NULL, run, txn) == 0;
    return txn->has_thread ? CLIENT_OK
                           : client_fail(error, CLIENT_FATAL, NULL, "no thread for transactions");
}

void lane_txn_stop(struct lane_txn *txn)
{
    if (txn->id == NULL) {
        return;
    }
    pthread_mutex_lock(&txn->lock);
    atomic_store(&txn->is_ending, true);
    pthread_cond_broadcast(&txn->came);
    pthread_mutex_unlock(&txn->lock);
    if (txn->has_thread) {
        pthread_join(txn->thread, NULL);
    }
    if (txn->given != NULL) {
        client_fail(&txn->given->error, CLIENT_CLOSED, NULL, "the service ends");
        answer(txn, txn->given, LANE_ABORTED);
    }
    close_producer(txn);
    forget_topics(txn);
    topic_partitions_deinit(&txn->reborn);
    pthread_cond_destroy(&txn->came);
    pthread_mutex_destroy(&txn->lock);
    free(txn->id);
}
