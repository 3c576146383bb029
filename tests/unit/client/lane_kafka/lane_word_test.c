/* Words to the owners of lanes, sent over a server; the owner is played by the test. */
#include "bus_server.h"

#include "client/lane/lane_metadata.h"
#include "client/lane_kafka/lane_word.h"
#include "client/reader/reader.h"

#include "../../unit.h"

enum { TURNS = 3000 }; /* of some ms each: never reached */

/* What the sender was told last. */
struct told {
    int count;
    void *token;
    enum lane_outcome outcome; /* 0: none */
    enum client_status status;
    char text[60];
};

struct world {
    struct bus_server bus;
    struct lane_words *words;
    struct told told;
    char topic[40], group[20];
    int64_t serial; /* of the owner's records */
};

static void on_replied(void *context, const struct lane_reply *reply)
{
    struct told *told = context;
    told->count++;
    told->token = reply->token;
    told->outcome = reply->answer != NULL ? reply->answer->outcome : (enum lane_outcome)0;
    told->status = reply->error != NULL ? reply->error->status : CLIENT_OK;
    if (reply->answer != NULL) {
        snprintf(told->text, sizeof told->text, "%.*s", SLICE_ARGS(reply->answer->text));
    }
}

/* A group of its own for each test. */
static void begin(struct world *world, const char *group, int window)
{
    struct client_error error;
    snprintf(world->group, sizeof world->group, "%s", group);
    snprintf(world->topic, sizeof world->topic, "lanes.%s", group);
    world->told = (struct told){0};
    bus_server_topic(&world->bus, world->topic, 2);
    struct lane_words_settings settings = {.connection = bus_server_settings(&world->bus),
                                           .group = group,
                                           .window = window,
                                           .replied = on_replied,
                                           .context = &world->told};
    if (lane_words_open(&settings, &world->words, &error) != CLIENT_OK) {
        fail_msg("%s", error.text);
    }
}

static enum client_status say(struct world *world, int32_t partition, enum lane_verb verb)
{
    static int token;
    const struct lane_word word = {.verb = verb,
                                   .name = {.key = slice_str("anna"), .offset = -1},
                                   .head = 7,
                                   .who = slice_str("bert"),
                                   .why = slice_str("it is mended")};
    struct client_error error;
    return lane_words_send(world->words, "orders", partition, &word, &token, &error);
}

static void serve_until(struct world *world, int count)
{
    struct client_error error;
    for (int i = 0; i < TURNS && world->told.count < count; i++) {
        if (lane_words_serve(world->words, 20, &error) != CLIENT_OK) {
            fail_msg("%s", error.text);
        }
    }
    assert_int_equal(world->told.count, count);
}

/* The word that was written at this offset; its text is freed with the arena. */
static struct lane_record_id read_word(struct world *world, int32_t place, int64_t offset,
                                       struct arena *arena, struct lane_record *record)
{
    struct topic_partitions from = {0};
    struct reader *reader;
    struct received *received = NULL;
    struct client_error error;
    struct lane_record_key key;
    topic_partitions_add(&from, world->topic, place, offset);
    struct reader_settings settings = {
        .connection = bus_server_settings(&world->bus), .partitions = &from, .fetch_wait_ms = 20};
    assert_int_equal(reader_open(&settings, &reader, &error), CLIENT_OK);
    for (int i = 0; i < TURNS && received == NULL; i++) {
        (void)!lane_words_serve(world->words, 0, &error); /* it may not be written yet */
        assert_int_equal(reader_take(reader, 20, &received, &error), CLIENT_OK);
    }
    assert_non_null(received);
    assert_true(lane_record_key_read(received->event.key, &key));
    assert_true(slice_equal_str(key.topic, "orders"));
    assert_int_equal(lane_record_read(received->event.value, arena, record), ERR_NONE);
    received_free(received);
    reader_close(reader, NULL);
    topic_partitions_deinit(&from);
    return key.id;
}

/* A record of an owner. */
static void put(struct world *world, int32_t partition, const struct lane_record *record)
{
    struct buf key = {0}, value = {0};
    struct event event = event_blank();
    lane_record_key_write(&(struct lane_record_key){.id = {9, ++world->serial},
                                                    .topic = slice_str("orders"),
                                                    .partition = partition},
                          &key);
    lane_record_write(record, &value);
    event.topic = world->topic;
    event.partition = partition % 2;
    event.key = buf_slice(&key);
    event.value = buf_slice(&value);
    bus_server_put_event(&world->bus, &event);
    buf_deinit(&key);
    buf_deinit(&value);
}

static void answer(struct world *world, int32_t partition, int64_t fence,
                   struct lane_record_id word, const char *text)
{
    put(world, partition,
        &(struct lane_record){.kind = LANE_RECORD_ANSWER,
                              .fence = fence,
                              .answer = {.word = word,
                                         .outcome = LANE_CARRIED_OUT,
                                         .letter = {-1, -1},
                                         .text = slice_str(text)}});
}

static void test_a_word_reaches_the_owner_and_its_answer_comes_back(void **state)
{
    struct world *world = *state;
    struct arena arena = {0};
    struct lane_record record;
    begin(world, "email", 0);
    assert_int_equal(say(world, 3, LANE_SAY_SKIP), CLIENT_OK);
    assert_int_equal(lane_words_pending(world->words), 1);
    struct lane_record_id id = read_word(world, 1, 0, &arena, &record);
    assert_int_equal(record.word.verb, LANE_SAY_SKIP);
    assert_int_equal(record.word.head, 7);
    assert_true(slice_equal_str(record.word.name.key, "anna"));
    assert_true(slice_equal_str(record.word.who, "bert"));
    assert_true(slice_equal_str(record.word.why, "it is mended"));
    assert_true(record.word.time_ms > 0);
    answer(world, 3, 1, (struct lane_record_id){id.writer ^ 1, id.serial}, "another's");
    answer(world, 3, 1, id, "skipped");
    serve_until(world, 1);
    assert_string_equal(world->told.text, "skipped");
    assert_int_equal(world->told.outcome, LANE_CARRIED_OUT);
    assert_int_equal(lane_words_pending(world->words), 0);
    lane_words_close(world->words);
    arena_deinit(&arena);
}

static void test_no_more_words_wait_than_the_window_has(void **state)
{
    struct world *world = *state;
    begin(world, "window", 2);
    assert_int_equal(say(world, 0, LANE_SAY_HOLD), CLIENT_OK);
    assert_int_equal(say(world, 1, LANE_SAY_HOLD), CLIENT_OK);
    assert_int_equal(say(world, 0, LANE_SAY_HOLD), CLIENT_FULL);
    for (int i = 0; i < TURNS && lane_words_unwritten(world->words) > 0; i++) {
        struct client_error error;
        assert_int_equal(lane_words_serve(world->words, 20, &error), CLIENT_OK);
    }
    assert_int_equal(lane_words_pending(world->words), 2);
    lane_words_close(world->words); /* each has its reply */
    assert_int_equal(world->told.count, 2);
    assert_int_equal(world->told.status, CLIENT_CLOSED);
}

static void commit_fence(struct world *world, int64_t fence)
{
    struct topic_partitions offsets = {0};
    struct lane_ranges open = {0};
    struct buf text = {0};
    struct client_error error;
    bus_server_topic(&world->bus, "orders", 1);
    lane_metadata_encode(fence, 0, &open, 0, 4096, &text);
    topic_partitions_add(&offsets, "orders", 0, 0)->metadata = mem_strdup(buf_cstr(&text));
    assert_int_equal(admin_set_group_offsets(world->bus.connection, world->group, &offsets, &error),
                     CLIENT_OK);
    topic_partitions_deinit(&offsets);
    buf_deinit(&text);
}

/* Its answer is void behind the mark of the next owner, and counts before it. */
static void test_an_answer_of_an_owner_of_before_counts_only_before_the_next_mark(void **state)
{
    struct world *world = *state;
    struct arena arena = {0};
    struct lane_record record;
    struct client_error error;
    snprintf(world->group, sizeof world->group, "zombie");
    commit_fence(world, 5);
    begin(world, "zombie", 0);
    assert_int_equal(say(world, 0, LANE_SAY_HOLD), CLIENT_OK);
    struct lane_record_id id = read_word(world, 0, 0, &arena, &record);
    answer(world, 0, 4, id, "late");
    assert_int_equal(say(world, 0, LANE_SAY_HOLD), CLIENT_OK);
    struct lane_record_id next = read_word(world, 0, 2, &arena, &record);
    answer(world, 0, 5, next, "second");
    serve_until(world, 1); /* what stands behind the doubtful one is read, so is that */
    assert_string_equal(world->told.text, "second");
    assert_int_equal(lane_words_pending(world->words), 1);
    put(world, 0, &(struct lane_record){.kind = LANE_RECORD_MARK, .fence = 5});
    serve_until(world, 2);
    assert_string_equal(world->told.text, "late");
    assert_int_equal(say(world, 0, LANE_SAY_HOLD), CLIENT_OK);
    id = read_word(world, 0, 5, &arena, &record);
    put(world, 0, &(struct lane_record){.kind = LANE_RECORD_MARK, .fence = 6});
    answer(world, 0, 5, id, "void");
    answer(world, 0, 6, id, "good");
    serve_until(world, 3);
    assert_string_equal(world->told.text, "good");
    int members = -1;
    assert_int_equal(lane_words_silence(world->words, &members, &error), CLIENT_TIMED_OUT);
    assert_int_equal(members, 0);
    assert_non_null(strstr(error.text, "group 'zombie' has no member now"));
    lane_words_close(world->words);
    arena_deinit(&arena);
}

static void test_what_means_nothing_is_not_sent(void **state)
{
    struct world *world = *state;
    struct client_error error;
    struct lane_words *words;
    begin(world, "strict", 0);
    struct lane_word word = {.verb = LANE_SAY_SKIP, .head = -1};
    assert_int_equal(lane_words_send(world->words, "orders", 0, &word, NULL, &error),
                     CLIENT_INVALID);
    word = (struct lane_word){.verb = LANE_SAY_REDRIVE, .head = 1, .number = 1, .letter = {-1, 0}};
    assert_int_equal(lane_words_send(world->words, "orders", 0, &word, NULL, &error),
                     CLIENT_INVALID);
    assert_int_equal(lane_words_pending(world->words), 0);
    lane_words_close(world->words);
    struct lane_words_settings settings = {
        .connection = bus_server_settings(&world->bus), .group = "nobody", .replied = on_replied};
    assert_int_equal(lane_words_open(&settings, &words, &error), CLIENT_NOT_FOUND);
    assert_null(words);
    assert_non_null(strstr(error.text, "group 'nobody' has no lanes"));
}

static int set_up(void **state)
{
    static struct world world;
    bus_server_start(&world.bus);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    bus_server_stop(&world->bus);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_word_reaches_the_owner_and_its_answer_comes_back),
        cmocka_unit_test(test_no_more_words_wait_than_the_window_has),
        cmocka_unit_test(test_an_answer_of_an_owner_of_before_counts_only_before_the_next_mark),
        cmocka_unit_test(test_what_means_nothing_is_not_sent),
    };
    return unit_run(tests, set_up, tear_down, argc, argv);
}
