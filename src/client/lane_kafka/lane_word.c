#include "client/lane_kafka/lane_word.h"

#include "base/clock.h"
#include "base/plural.h"
#include "base/random.h"
#include "client/admin/admin.h"
#include "client/lane/lane_metadata.h"
#include "client/publisher/publisher.h"
#include "client/reader/reader.h"

#define HASH_FUNCTION(key, size, hash) HASH_FNV(key, size, hash)
#include <uthash.h>
#include <utlist.h>

/* A word on its way. */
struct sent {
    struct sent *next, *prev;
    UT_hash_handle hh;
    struct lane_words *words;
    int64_t serial;
    void *token;
    int32_t place;
    bool is_written;
    int64_t doubtful;  /* the fence of an answer by who may own no more; 0: there was none */
    struct buf answer; /* and that record */
};

/* The highest fence of a source partition, as far as it is known here. */
struct fence {
    char *topic;
    int32_t partition;
    int64_t fence;
};

struct lane_words {
    struct lane_words_settings settings;
    char *group;
    char topic[LANE_TOPIC_SIZE];
    int32_t place_count;
    struct connection *connection; /* the publisher's would make topics by looking for them */
    struct publisher *publisher;
    struct reader *reader;
    VEC(struct fence) fences;
    uint64_t writer;
    int64_t serial;
    struct sent *sent;
    size_t pending;
    size_t unwritten; /* of them */
    size_t replies;   /* since serve began */
    int64_t next_us;  /* monotonic: the rate allows the next one */
};

/* --- replies --- */

/* Takes the word out of those that wait and frees it. */
static void reply(struct sent *sent, const struct lane_answer *answer,
                  const struct client_error *error)
{
    struct lane_words *words = sent->words;
    const struct lane_reply what = {.token = sent->token, .answer = answer, .error = error};
    HASH_DELETE(hh, words->sent, sent);
    words->unwritten -= !sent->is_written;
    words->pending--;
    words->replies++;
    words->settings.replied(words->settings.context, &what);
    buf_deinit(&sent->answer);
    free(sent);
}

static void on_written(void *context, const struct publication *publication)
{
    struct lane_words *words = context;
    struct sent *sent;
    int64_t serial = (int64_t)(intptr_t)publication->context; /* its answer may be here already */
    HASH_FIND(hh, words->sent, &serial, sizeof serial, sent);
    if (sent == NULL) {
        return;
    }
    if (publication->status == CLIENT_OK) {
        sent->is_written = true;
        words->unwritten--;
    } else if (publication->status != CLIENT_CLOSED) {
        reply(sent, NULL, publication->error);
    } /* else lane_words_close does it */
}

/* --- what lanes.<group> says --- */

static struct fence *fence_of(struct lane_words *words, struct slice topic, int32_t partition)
{
    for (size_t i = 0; i < words->fences.count; i++) {
        struct fence *at = &words->fences.items[i];
        if (at->partition == partition && slice_equal_str(topic, at->topic)) {
            return at;
        }
    }
    vec_push(&words->fences,
             (struct fence){mem_strndup((const char *)topic.data, topic.size), partition, 0});
    return &words->fences.items[words->fences.count - 1];
}

static void reply_by(struct sent *sent, struct slice value)
{
    struct arena arena = {0};
    struct lane_record record;
    if (lane_record_read(value, &arena, &record) == ERR_NONE) {
        reply(sent, &record.answer, NULL);
    }
    arena_deinit(&arena);
}

/* What stands before the mark of the next owner counts. */
static void end_doubts(struct lane_words *words, int32_t place, int64_t fence)
{
    struct sent *sent, *next;
    HASH_ITER (hh, words->sent, sent, next) {
        if (sent->place == place && sent->doubtful > 0 && sent->doubtful < fence) {
            struct buf value = sent->answer;
            sent->answer = (struct buf){0};
            reply_by(sent, buf_slice(&value));
            buf_deinit(&value);
        }
    }
}

/*
 * An answer of who owns no more is void (docs/formats.md), and the owner's comes. The group's
 * commits tell the owner's fence, but not whether its mark stood before the answer: when the mark
 * comes behind it, it counts.
 */
static void take_answer(struct sent *sent, int64_t fence, int64_t highest, struct slice value)
{
    if (fence >= highest) {
        reply_by(sent, value);
        return;
    }
    sent->doubtful = fence;
    buf_clear(&sent->answer);
    buf_append_slice(&sent->answer, value);
}

static void take_record(struct lane_words *words, const struct event *event)
{
    struct arena arena = {0};
    struct lane_record_key key;
    struct lane_record record;
    struct sent *sent;
    if (slice_is_null(event->value) || !lane_record_key_read(event->key, &key) ||
        lane_record_read(event->value, &arena, &record) != ERR_NONE) {
        arena_deinit(&arena);
        return;
    }
    if (record.kind == LANE_RECORD_MARK) {
        struct fence *at = fence_of(words, key.topic, key.partition);
        at->fence = record.fence > at->fence ? record.fence : at->fence;
        end_doubts(words, event->partition, record.fence);
    } else if (record.kind == LANE_RECORD_ANSWER && record.answer.word.writer == words->writer) {
        HASH_FIND(hh, words->sent, &record.answer.word.serial, sizeof(int64_t), sent);
        if (sent != NULL) {
            take_answer(sent, record.fence, fence_of(words, key.topic, key.partition)->fence,
                        event->value);
        }
    }
    arena_deinit(&arena);
}

enum client_status lane_words_serve(struct lane_words *words, int timeout_ms,
                                    struct client_error *error)
{
    enum { STEP_MS = 20, EVENTS_OF_A_TURN = 1000 };
    int64_t until_ms = clock_mono_ms(clock_system()) + timeout_ms;
    enum client_status status = CLIENT_OK;
    int64_t left_ms;
    words->replies = 0;
    do {
        struct received *received = NULL;
        left_ms = until_ms - clock_mono_ms(clock_system());
        publisher_serve(words->publisher, 0);
        status = reader_take(words->reader,
                             left_ms > STEP_MS ? STEP_MS
                             : left_ms > 0     ? (int)left_ms
                                               : 0,
                             &received, error);
        for (int n = 0; received != NULL && n < EVENTS_OF_A_TURN; n++) {
            take_record(words, &received->event);
            received_free(received);
            received = NULL;
            status =
                n + 1 < EVENTS_OF_A_TURN ? reader_take(words->reader, 0, &received, error) : status;
        }
    } while (status == CLIENT_OK && words->replies == 0 && left_ms > 0);
    return status;
}

/* --- sending --- */

static enum client_status check(const struct lane_word *word, struct client_error *error)
{
    enum { TEXT_MAX = 1000 };
    bool needs_head = word->verb == LANE_SAY_SKIP || word->verb == LANE_SAY_REDRIVE;
    if (needs_head && word->head < 0) {
        return client_fail(error, CLIENT_INVALID, NULL, "%s: which event is meant is not said",
                           lane_verb_name(word->verb));
    }
    if (word->verb == LANE_SAY_REDRIVE &&
        (word->number < 1 || word->letter.partition < 0 || word->letter.offset < 0)) {
        return client_fail(error, CLIENT_INVALID, NULL,
                           "redrive: the dead letter or its number is not said");
    }
    if (word->who.size > TEXT_MAX || word->why.size > TEXT_MAX) {
        return client_fail(error, CLIENT_INVALID, NULL,
                           "who says it and why: at most %d bytes each", TEXT_MAX);
    }
    return CLIENT_OK;
}

static enum client_status publish(struct lane_words *words, const char *topic, int32_t partition,
                                  const struct lane_record *record, struct client_error *error)
{
    struct buf key = {0}, value = {0};
    struct event event = event_blank();
    const struct lane_record_key its = {
        .id = {words->writer, words->serial}, .topic = slice_str(topic), .partition = partition};
    lane_record_key_write(&its, &key);
    lane_record_write(record, &value);
    event.topic = words->topic;
    event.partition = partition % words->place_count;
    event.key = buf_slice(&key);
    event.value = buf_slice(&value);
    enum client_status status =
        publisher_publish(words->publisher, &event, (void *)(intptr_t)words->serial, error);
    buf_deinit(&key);
    buf_deinit(&value);
    return status;
}

/* False: not yet. */
static bool rate_allows(struct lane_words *words)
{
    double rate = words->settings.rate_per_s;
    int64_t now_us = clock_mono_ms(clock_system()) * 1000;
    if (rate <= 0) {
        return true;
    }
    if (now_us < words->next_us) {
        return false;
    }
    enum { SLACK_US = 100000 }; /* a late turn may be made up for, a long silence may not */
    int64_t from_us = words->next_us > now_us - SLACK_US ? words->next_us : now_us;
    words->next_us = from_us + (int64_t)(1e6 / rate);
    return true;
}

enum client_status lane_words_send(struct lane_words *words, const char *topic, int32_t partition,
                                   const struct lane_word *word, void *token,
                                   struct client_error *error)
{
    struct lane_record record = {.kind = LANE_RECORD_WORD, .word = *word};
    int window = words->settings.window;
    enum client_status status = check(word, error);
    if (status != CLIENT_OK) {
        return status;
    }
    if (words->pending >= (size_t)window || !rate_allows(words)) {
        return client_fail(error, CLIENT_FULL, NULL, "%zu word%s %s not answered yet",
                           words->pending, plural_s(words->pending), plural_are(words->pending));
    }
    if (record.word.time_ms == 0) {
        record.word.time_ms = clock_wall_ms(clock_system());
    }
    if (word->verb != LANE_SAY_REDRIVE) {
        record.word.letter = (struct lane_letter){-1, -1};
    }
    words->serial++;
    status = publish(words, topic, partition, &record, error);
    if (status == CLIENT_OK) {
        struct sent *sent = mem_new(struct sent);
        sent->words = words;
        sent->serial = words->serial;
        sent->token = token;
        sent->place = partition % words->place_count;
        HASH_ADD(hh, words->sent, serial, sizeof sent->serial, sent);
        words->pending++;
        words->unwritten++;
    }
    return status;
}

size_t lane_words_pending(const struct lane_words *words)
{
    return words->pending;
}

size_t lane_words_unwritten(const struct lane_words *words)
{
    return words->unwritten;
}

struct connection *lane_words_connection(struct lane_words *words)
{
    return words->connection;
}

enum client_status lane_words_silence(struct lane_words *words, int *members,
                                      struct client_error *error)
{
    struct admin_group group;
    enum client_status status = admin_group(words->connection, words->group, &group, error);
    if (members != NULL) {
        *members = status == CLIENT_OK ? (int)group.members.count : -1;
    }
    if (status == CLIENT_OK && group.members.count == 0) {
        status = client_fail(error, CLIENT_TIMED_OUT,
                             "start the service; words are carried out in their order",
                             "nobody answers: group '%s' has no member now; what was said stays "
                             "and is carried out when one comes",
                             words->group);
    } else if (status == CLIENT_OK) {
        status = client_fail(error, CLIENT_TIMED_OUT, "wait longer with --timeout",
                             "no answer yet, though group '%s' has %zu member%s; what was said "
                             "stays and is carried out when the owner of the lane comes to it",
                             words->group, group.members.count, plural_s(group.members.count));
    }
    admin_group_deinit(&group);
    return status;
}

/* --- life --- */

static enum client_status know_fences(struct lane_words *words, struct client_error *error)
{
    struct topic_partitions offsets = {0};
    enum client_status status =
        admin_group_offsets(words->connection, words->group, NULL, &offsets, error);
    for (size_t i = 0; status == CLIENT_OK && i < offsets.count; i++) {
        const struct topic_partition *at = &offsets.items[i];
        struct lane_ranges done = {0};
        int64_t fence = lane_metadata_decode(at->metadata, at->offset, &done);
        if (fence > 0) {
            fence_of(words, slice_str(at->topic), at->partition)->fence = fence;
        }
        vec_deinit(&done);
    }
    topic_partitions_deinit(&offsets);
    return status == CLIENT_NOT_FOUND ? CLIENT_OK : status; /* a group that never committed */
}

/* All of the topic from its end on: answers come behind their words. */
static enum client_status open_reader(struct lane_words *words, struct client_error *error)
{
    enum { WAIT_MS = 100 };
    struct topic_partitions all = {0};
    struct admin_bounds *bounds = mem_new_array(struct admin_bounds, (size_t)words->place_count);
    for (int32_t i = 0; i < words->place_count; i++) {
        topic_partitions_add(&all, words->topic, i, -1);
    }
    enum client_status status = admin_bounds(words->connection, &all, bounds, error);
    if (status == CLIENT_OK) {
        for (size_t i = 0; i < all.count; i++) {
            all.items[i].offset = bounds[i].end;
        }
        struct reader_settings settings = {
            .connection = words->settings.connection, .partitions = &all, .fetch_wait_ms = WAIT_MS};
        status = reader_open(&settings, &words->reader, error);
    }
    free(bounds);
    topic_partitions_deinit(&all);
    return status;
}

static enum client_status find_places(struct lane_words *words, struct client_error *error)
{
    struct admin_topics topics;
    enum client_status status = admin_topic(words->connection, words->topic, false, &topics, error);
    if (status == CLIENT_OK) {
        words->place_count = (int32_t)topics.items[0].partitions.count;
    } else if (status == CLIENT_NOT_FOUND) {
        client_fail(error, status, "is it the group of a service with key lanes, and has it run?",
                    "group '%s' has no lanes: there is no topic '%s'", words->group, words->topic);
    }
    admin_topics_deinit(&topics);
    return status;
}

enum client_status lane_words_open(const struct lane_words_settings *settings,
                                   struct lane_words **words, struct client_error *error)
{
    enum { WINDOW = 256, WRITE_MS = 10000 };
    int timeout_ms = settings->connection.timeout_ms;
    struct lane_words *made = mem_new(struct lane_words);
    *words = NULL;
    made->settings = *settings;
    made->settings.window = settings->window > 0 ? settings->window : WINDOW;
    made->group = mem_strdup(settings->group);
    lane_topic_name("lanes.", settings->group, made->topic);
    random_secure(&made->writer, sizeof made->writer);
    struct publisher_settings publisher = {
        .connection = settings->connection,
        .linger_ms = -1,
        .event_timeout_ms = timeout_ms > 0 && timeout_ms < WRITE_MS ? WRITE_MS : 0,
        .done = on_written,
        .done_context = made};
    enum client_status status = connection_open(&settings->connection, &made->connection, error);
    if (status == CLIENT_OK) {
        status = publisher_open(&publisher, &made->publisher, error);
    }
    if (status == CLIENT_OK) {
        status = connection_reach(made->connection, error);
    }
    if (status == CLIENT_OK) { /* else its first word would wait a second for a producer id */
        status = connection_reach(publisher_connection(made->publisher), error);
    }
    if (status == CLIENT_OK) {
        status = find_places(made, error);
    }
    if (status == CLIENT_OK) {
        status = open_reader(made, error);
    }
    if (status == CLIENT_OK) {
        status = know_fences(made, error);
    }
    if (status != CLIENT_OK) {
        lane_words_close(made);
        return status;
    }
    *words = made;
    return CLIENT_OK;
}

void lane_words_close(struct lane_words *words)
{
    struct sent *sent, *next;
    struct client_error closed = {0}, unknown = {0};
    if (words == NULL) {
        return;
    }
    publisher_close(words->publisher);
    client_fail(&unknown, CLIENT_TIMED_OUT, NULL, "it is not known whether it was written");
    client_fail(&closed, CLIENT_CLOSED, NULL, "its answer is not waited for any longer");
    HASH_ITER (hh, words->sent, sent, next) {
        reply(sent, NULL, sent->is_written ? &closed : &unknown);
    }
    (void)reader_close(words->reader, NULL);
    connection_close(words->connection);
    for (size_t i = 0; i < words->fences.count; i++) {
        free(words->fences.items[i].topic);
    }
    vec_deinit(&words->fences);
    free(words->group);
    free(words);
}
