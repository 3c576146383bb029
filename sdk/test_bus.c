#include "test_bus.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* --- topics --- */

struct test_topic *test_topic_get(struct tidings_test *bus, const char *name)
{
    struct test_topic *topic;
    HASH_FIND_STR(bus->topics, name, topic);
    if (topic == NULL) {
        topic = mem_new(struct test_topic);
        topic->name = mem_strdup(name);
        test_topic_grow(topic, 1);
        HASH_ADD_KEYPTR(hh, bus->topics, topic->name, strlen(topic->name), topic);
    }
    return topic;
}

void test_topic_grow(struct test_topic *topic, size_t partition_count)
{
    while (topic->partitions.count < partition_count) {
        struct test_partition *added = mem_new(struct test_partition);
        added->topic = topic;
        added->number = (int32_t)topic->partitions.count;
        vec_push(&topic->partitions, added);
    }
}

/* As publishers choose it; events without key go round. */
static struct test_partition *partition_for(struct test_topic *topic, const struct event *event)
{
    size_t count = topic->partitions.count;
    size_t number = slice_is_null(event->key)
                        ? topic->next++ % count
                        : (size_t)publisher_partition(event->key, (int32_t)count);
    return topic->partitions.items[number];
}

struct test_event *test_event_at(struct tidings_test *bus, const char *topic, int32_t partition,
                                 int64_t offset)
{
    const struct test_topic *its = test_topic_get(bus, topic);
    if (partition < 0 || (size_t)partition >= its->partitions.count) {
        return NULL;
    }
    const struct test_partition *place = its->partitions.items[partition];
    return offset >= 0 && offset < (int64_t)place->events.count ? place->events.items[offset]
                                                                : NULL;
}

static struct test_event *keep(struct tidings_test *bus, struct test_topic *topic,
                               const struct event *from)
{
    struct test_partition *place = partition_for(topic, from);
    struct test_event *kept = mem_new(struct test_event);
    struct event *event = &kept->received.event;
    *event = *from;
    event->partition = place->number;
    event->offset = (int64_t)place->events.count;
    event->timestamp_ms = from->timestamp_ms >= 0 ? from->timestamp_ms : atomic_load(&bus->now_ms);
    event_own(event, &kept->arena);
    event->topic = topic->name;
    kept->hand = (struct lane_hand){.received = &kept->received, .attempt = 1};
    event_show(&kept->hand, &kept->arena, &kept->shown);
    vec_push(&place->events, kept);
    vec_push(&topic->events, kept);
    return kept;
}

/* Something happened. Lock held, or not: */
static void move(struct tidings_test *bus)
{
    bus->moves++;
    bus->is_woken = true;
    pthread_cond_broadcast(&bus->changed);
}

static void has_moved(struct tidings_test *bus)
{
    pthread_mutex_lock(&bus->lock);
    move(bus);
    pthread_mutex_unlock(&bus->lock);
}

/* Lock held. */
static bool refuse(struct test_topic *topic)
{
    bool is_refused = topic->refusals > 0;
    topic->refusals -= is_refused;
    return is_refused;
}

bool test_refuses(struct tidings_test *bus, const char *topic)
{
    pthread_mutex_lock(&bus->lock);
    bool is_refused = refuse(test_topic_get(bus, topic));
    pthread_mutex_unlock(&bus->lock);
    return is_refused;
}

const struct event *test_put(struct tidings_test *bus, const struct event *event)
{
    const struct test_event *kept = NULL;
    pthread_mutex_lock(&bus->lock);
    struct test_topic *topic = test_topic_get(bus, event->topic);
    if (!refuse(topic)) {
        kept = keep(bus, topic, event);
    }
    move(bus);
    pthread_mutex_unlock(&bus->lock);
    return kept != NULL ? &kept->received.event : NULL;
}

/* --- what the lanes ask for --- */

static struct test_progress *progress_of(struct test_group *group, const struct lane_share *share)
{
    for (size_t i = 0; i < group->progress.count; i++) {
        struct test_progress *at = &group->progress.items[i];
        if (at->epoch == share->epoch && at->source->number == share->partition &&
            strcmp(at->source->topic->name, share->topic) == 0) {
            return at;
        }
    }
    return NULL;
}

static struct lane_share share_of(const struct test_progress *progress)
{
    return (struct lane_share){.topic = progress->source->topic->name,
                               .partition = progress->source->number,
                               .epoch = progress->epoch};
}

static bool is_named(const struct tidings *service, const char *topic)
{
    const struct handler *handler = service->handlers;
    while (handler != NULL && strcmp(handler->topic, topic) != 0) {
        handler = handler->next;
    }
    return handler != NULL;
}

/* Patterns do not mean what the groups have. */
static bool is_wanted(const struct tidings *service, const char *topic)
{
    return is_named(service, topic) ||
           (strncmp(topic, "dlq.", strlen("dlq.")) != 0 && handler_has_topic(service, topic));
}

static struct test_progress *progress_for(struct test_group *group, struct test_partition *source)
{
    for (size_t i = 0; i < group->progress.count; i++) {
        if (group->progress.items[i].source == source) {
            return &group->progress.items[i];
        }
    }
    bool skips = !group->has_begun && group->member != NULL && group->member->options.from_end;
    struct test_progress *added = vec_add(&group->progress);
    added->source = source;
    added->committed = skips ? (int64_t)source->events.count : 0;
    added->marked = -1;
    return added;
}

/* Gives the member the partitions that it handles and does not have. */
static void assign(struct test_group *group)
{
    struct tidings_test *bus = group->bus;
    VEC(struct test_partition *) wanted = {0};
    pthread_mutex_lock(&bus->lock);
    for (const struct handler *h = group->member->handlers; h != NULL; h = h->next) {
        if (h->pattern == NULL) {
            (void)test_topic_get(bus, h->topic);
        }
    }
    for (struct test_topic *topic = bus->topics; topic != NULL; topic = topic->hh.next) {
        for (size_t i = 0; is_wanted(group->member, topic->name) && i < topic->partitions.count;
             i++) {
            vec_push(&wanted, topic->partitions.items[i]);
        }
    }
    pthread_mutex_unlock(&bus->lock);
    for (size_t i = 0; i < wanted.count; i++) {
        struct test_progress *progress = progress_for(group, wanted.items[i]);
        if (progress->epoch == 0) {
            progress->epoch = ++bus->last_epoch;
            progress->read = progress->committed;
            progress->is_paused = progress->is_watched = false;
            struct lane_share share = share_of(progress);
            lane_bus_assigned(group->member->runner, &share, progress->committed,
                              progress->metadata, false);
        }
    }
    group->has_begun = true;
    vec_deinit(&wanted);
}

static void commit(void *context)
{
    struct test_group *group = context;
    for (size_t i = 0; i < group->progress.count; i++) {
        struct test_progress *at = &group->progress.items[i];
        if (at->epoch == 0 || at->marked < 0) {
            continue;
        }
        at->committed = at->marked;
        free(at->metadata);
        at->metadata = at->marked_metadata;
        at->marked_metadata = NULL;
        at->marked = -1;
        struct lane_share share = share_of(at);
        has_moved(group->bus);
        lane_bus_committed(group->member->runner, &share, true);
    }
}

/* Lock held. */
static struct received *next_event(struct test_group *group)
{
    for (size_t i = 0; i < group->progress.count; i++) {
        struct test_progress *at = &group->progress.items[i];
        if (at->epoch != 0 && !at->is_paused && at->read < (int64_t)at->source->events.count) {
            struct received *received = mem_new(struct received);
            received->event = at->source->events.items[at->read++]->received.event;
            received->epoch = at->epoch;
            return received;
        }
    }
    return NULL;
}

static enum client_status take(void *context, int timeout_ms, struct received **received,
                               struct client_error *error)
{
    struct test_group *group = context;
    struct tidings_test *bus = group->bus;
    struct timespec until;
    (void)error;
    commit(group);
    assign(group);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += (long)timeout_ms % 1000 * 1000000;
    until.tv_sec += timeout_ms / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&bus->lock);
    *received = next_event(group);
    while (*received == NULL && bus->waits && timeout_ms > 0 && !bus->is_woken &&
           pthread_cond_timedwait(&bus->changed, &bus->lock, &until) == 0) {
    }
    bus->is_woken = false;
    bus->moves += *received != NULL;
    pthread_mutex_unlock(&bus->lock);
    return CLIENT_OK;
}

static void release(void *context, struct received *received)
{
    (void)context;
    free(received);
}

static bool mark(void *context, const struct lane_share *share, int64_t offset,
                 const char *metadata)
{
    struct test_group *group = context;
    struct test_progress *at = progress_of(group, share);
    if (at == NULL) {
        return false;
    }
    at->marked = offset;
    free(at->marked_metadata);
    at->marked_metadata = mem_strdup(metadata);
    has_moved(group->bus);
    return true;
}

static bool set_pause(void *context, const struct lane_share *share, bool pauses)
{
    struct test_group *group = context;
    struct test_progress *at = progress_of(group, share);
    if (at != NULL) {
        at->is_paused = pauses;
        has_moved(group->bus);
    }
    return at != NULL;
}

/* --- lanes.<group> --- */

static void post(struct test_group *group, struct lane_mail *mail)
{
    has_moved(group->bus);
    lane_runner_post(group->member->runner, mail);
}

/* They were written by us: they can be read. */
static void read_record(const struct test_record *record, struct lane_mail *mail)
{
    if (lane_record_read(buf_slice(&record->value), &mail->arena, &mail->record) != ERR_NONE) {
        abort();
    }
}

static void post_record(struct test_group *group, const struct lane_share *share, size_t position)
{
    const struct test_record *record = &group->lanes.items[position];
    struct lane_mail *mail = lane_mail_new(LANE_MAIL_RECORD, NULL);
    struct lane_record_key key;
    if (!lane_record_key_read(buf_slice(&record->key), &key)) {
        abort();
    }
    mail->has_share = true;
    mail->share = *share;
    mail->id = key.id;
    mail->is_erased = !record->has_value;
    mail->place = (struct lane_place){.position = (int64_t)position};
    if (record->has_value) {
        read_record(record, mail);
    }
    if (!mail->is_erased && mail->record.kind == LANE_RECORD_ASIDE) {
        struct event event = mail->record.event;
        event.topic = share->topic;
        event.partition = share->partition;
        mail->place.bytes = lane_event_cost(&event);
        mail->place.handler = handler_number(group->member, &event);
    }
    post(group, mail);
}

static void watch(void *context, const struct lane_share *share)
{
    struct test_group *group = context;
    struct test_progress *progress = progress_of(group, share);
    struct lane_share kept = share_of(progress);
    struct lane_mail *end = lane_mail_new(LANE_MAIL_END, NULL);
    progress->is_watched = true;
    for (size_t i = 0; i < group->lanes.count; i++) {
        if (group->lanes.items[i].source == progress->source) {
            post_record(group, &kept, i);
        }
    }
    end->has_share = true;
    end->share = kept;
    post(group, end);
}

static void unwatch(void *context, const struct lane_share *share)
{
    struct test_progress *at = progress_of(context, share);
    if (at != NULL) {
        at->is_watched = false;
    }
}

static void load(void *context, const struct lane_share *share, int64_t position, void *token)
{
    struct test_group *group = context;
    struct lane_mail *mail = lane_mail_new(LANE_MAIL_LOADED, token);
    (void)share;
    mail->is_done = true;
    read_record(&group->lanes.items[position], mail);
    post(group, mail);
}

static void put_record(struct test_group *group, const struct test_progress *progress,
                       struct slice key, struct slice value)
{
    struct lane_share kept = share_of(progress);
    struct test_record record = {.source = progress->source, .has_value = !slice_is_null(value)};
    buf_append_slice(&record.key, key);
    buf_append_slice(&record.value, value);
    vec_push(&group->lanes, record);
    if (progress->is_watched) {
        post_record(group, &kept, group->lanes.count - 1);
    }
}

static enum client_status append(void *context, const struct lane_share *share, struct slice key,
                                 struct slice value, void *token, struct client_error *error)
{
    struct test_group *group = context;
    struct lane_mail *mail = lane_mail_new(LANE_MAIL_APPENDED, token);
    (void)error;
    mail->is_done = true;
    mail->position = (int64_t)group->lanes.count;
    put_record(group, progress_of(group, share), key, value);
    post(group, mail);
    return CLIENT_OK;
}

static void load_letter(void *context, const struct lane_share *share, struct lane_letter letter,
                        void *token)
{
    struct test_group *group = context;
    struct lane_mail *mail = lane_mail_new(LANE_MAIL_LETTER, token);
    char topic[LANE_TOPIC_SIZE];
    (void)share;
    pthread_mutex_lock(&group->bus->lock);
    const struct test_event *found = test_event_at(
        group->bus, lane_topic_name("dlq.", group->name, topic), letter.partition, letter.offset);
    pthread_mutex_unlock(&group->bus->lock);
    mail->is_done = found != NULL;
    mail->is_gone = found == NULL;
    if (found != NULL) {
        mail->record.event = found->received.event;
        event_own(&mail->record.event, &mail->arena);
    }
    post(group, mail);
}

void test_say(struct test_group *group, const char *topic, int32_t partition,
              const struct lane_word *word)
{
    enum { WRITER = 1 }; /* owners draw theirs at random */
    struct buf key = {0}, value = {0};
    const struct lane_record record = {.kind = LANE_RECORD_WORD, .word = *word};
    const struct lane_record_key its = {
        .id = {WRITER, ++group->words}, .topic = slice_str(topic), .partition = partition};
    lane_record_key_write(&its, &key);
    lane_record_write(&record, &value);
    pthread_mutex_lock(&group->bus->lock);
    struct test_partition *source = test_topic_get(group->bus, topic)->partitions.items[partition];
    pthread_mutex_unlock(&group->bus->lock);
    put_record(group, progress_for(group, source), buf_slice(&key), buf_slice(&value));
    buf_deinit(&key);
    buf_deinit(&value);
}

/* --- transactions --- */

static bool is_refused(struct tidings_test *bus, struct lane_publication *publication)
{
    bool is_refused = test_refuses(bus, publication->event.topic);
    if (is_refused) {
        client_fail(&publication->error, CLIENT_REFUSED, NULL, "the test refuses it");
    }
    return is_refused;
}

static enum lane_transacted put_caused(struct tidings_test *bus,
                                       struct lane_transaction *transaction)
{
    struct lane_caused *caused;
    enum lane_transacted outcome = LANE_COMMITTED;
    DL_FOREACH (transaction->events, caused) {
        for (struct lane_publication *p = caused->publications; p != NULL; p = p->next) {
            caused->is_refused = caused->is_refused || is_refused(bus, p);
        }
        outcome = caused->is_refused ? LANE_REFUSED_EVENTS : outcome;
    }
    DL_FOREACH (outcome == LANE_COMMITTED ? transaction->events : NULL, caused) {
        for (struct lane_publication *p = caused->publications; p != NULL; p = p->next) {
            const struct event *kept = test_put(bus, &p->event);
            p->partition = kept != NULL ? kept->partition : -1;
            p->offset = kept != NULL ? kept->offset : -1;
        }
    }
    return outcome;
}

static void put_offset(struct test_group *group, const struct lane_transaction *transaction,
                       size_t index)
{
    const struct topic_partition *offset = &transaction->offsets.items[index];
    struct lane_share share = {offset->topic, offset->partition, transaction->epochs.items[index]};
    struct test_progress *at = progress_of(group, &share);
    at->committed = offset->offset;
    free(at->metadata);
    at->metadata = mem_strdup(offset->metadata);
    for (size_t i = 0; i < transaction->records.count; i++) {
        const struct lane_transaction_record *record = &transaction->records.items[i];
        struct lane_record_key key;
        if (lane_record_key_read(buf_slice(&record->key), &key) &&
            slice_equal_str(key.topic, offset->topic) && key.partition == offset->partition) {
            put_record(group, at, buf_slice(&record->key), buf_slice(&record->value));
        }
    }
}

static void transact(void *context, struct lane_transaction *transaction)
{
    struct test_group *group = context;
    transaction->outcome = put_caused(group->bus, transaction);
    for (size_t i = 0; transaction->outcome == LANE_COMMITTED && i < transaction->offsets.count;
         i++) {
        put_offset(group, transaction, i);
    }
    post(group, lane_mail_new(LANE_MAIL_TRANSACTED, transaction));
}

static enum client_status bury(void *context, const struct event *letter, void *token,
                               struct client_error *error)
{
    struct test_group *group = context;
    struct lane_mail *mail = lane_mail_new(LANE_MAIL_BURIED, token);
    (void)error;
    const struct event *kept = test_put(group->bus, letter);
    mail->is_done = kept != NULL;
    if (kept != NULL) {
        mail->partition = kept->partition;
        mail->position = kept->offset;
    } else {
        snprintf(mail->why, sizeof mail->why, "the test refuses it");
    }
    post(group, mail);
    return CLIENT_OK;
}

static void wake(void *context)
{
    struct test_group *group = context;
    pthread_mutex_lock(&group->bus->lock);
    group->bus->is_woken = true;
    pthread_cond_broadcast(&group->bus->changed);
    pthread_mutex_unlock(&group->bus->lock);
}

struct lane_bus test_calls(struct test_group *group)
{
    return (struct lane_bus){.context = group,
                             .take = take,
                             .release = release,
                             .mark = mark,
                             .commit = commit,
                             .pause = set_pause,
                             .watch = watch,
                             .unwatch = unwatch,
                             .load = load,
                             .load_letter = load_letter,
                             .append = append,
                             .bury = bury,
                             .transact = transact,
                             .wake = wake};
}

void test_group_free(struct test_group *group)
{
    for (size_t i = 0; i < group->progress.count; i++) {
        free(group->progress.items[i].metadata);
        free(group->progress.items[i].marked_metadata);
    }
    for (size_t i = 0; i < group->lanes.count; i++) {
        buf_deinit(&group->lanes.items[i].key);
        buf_deinit(&group->lanes.items[i].value);
    }
    vec_deinit(&group->progress);
    vec_deinit(&group->lanes);
    free(group->name);
    free(group);
}
