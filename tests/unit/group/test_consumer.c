#include "../unit.h"
#include "classic_fixture.h"
#include "group/consumer_config.h"
#include "group/consumer_target.h"
#include "wire/generated/consumer_protocol_assignment.h"

/* Consumer groups of the new protocol, step by step (KIP-848). */

static struct topics topics;

static void free_clients(struct consumer_client *clients, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        partition_set_deinit(&clients[i].owned);
    }
}

static void assert_error(struct world *world, uint64_t n, enum err err, const char *part)
{
    const struct group_reply *answer = reply(world, n);
    assert_non_null(answer);
    assert_int_equal(answer->err, err);
    char text[300];
    snprintf(text, sizeof text, "%.*s", SLICE_ARGS(answer->consumer.message));
    if (strstr(text, part) == NULL) {
        fail_msg("'%s' does not say '%s'", text, part);
    }
}

static void a_first_member_gets_everything(void **state)
{
    struct world *world = consumer_world(&topics);
    set_topic(&topics, "t", 3);
    uint64_t n = heartbeat(world, HB(.id = "a", .topics = {"t", "t", "none"}));
    const struct group_reply *answer = reply(world, n);
    assert_int_equal(answer->err, ERR_NONE);
    assert_slice(answer->consumer.member_id, "a");
    assert_int_equal(answer->consumer.member_epoch, 1);
    assert_int_equal(answer->consumer.heartbeat_interval_ms, 5000);
    assert_true(answer->consumer.has_assignment);
    assert_int_equal(answer->consumer.topic_count, 1);
    assert_int_equal(answer->consumer.topics[0].count, 3);
    /* Nothing new: nothing is stored, and no assignment repeated. */
    size_t before = world->log_size;
    answer = reply(world, heartbeat(world, HB(.id = "a", .epoch = 1)));
    assert_int_equal(answer->err, ERR_NONE);
    assert_false(answer->consumer.has_assignment);
    assert_int_equal(world->log_size, before);
    assert_replay_equal(world);
    world_free(world);
}

static void find_one(void *context, struct slice group_id, struct overrides *out)
{
    assert_slice(group_id, "g");
    overrides_copy(out, context);
}

static void set_own(struct overrides *own, const char *session, const char *interval)
{
    overrides_set(own, slice_str("consumer.session.timeout.ms"), slice_str(session));
    overrides_set(own, slice_str("consumer.heartbeat.interval.ms"), slice_str(interval));
}

static void a_group_has_settings_of_its_own(void **state)
{
    struct world *world = consumer_world(&topics);
    struct overrides own = {0};
    set_topic(&topics, "t", 1);
    world->config.find_own = find_one;
    world->config.find_own_context = &own;
    world->config.consumer_min_session_timeout_ms = 1000;
    assert_int_equal(reply(world, heartbeat(world, HB(.id = "a", .topics = {"t"})))
                         ->consumer.heartbeat_interval_ms,
                     5000);
    set_own(&own, "2000", "500");
    group_reconfigure(world->group);
    assert_int_equal(
        reply(world, heartbeat(world, HB(.id = "a", .epoch = 1)))->consumer.heartbeat_interval_ms,
        500);
    pass(world, 1999);
    assert_int_equal(group_member_count(world->group), 1);
    pass(world, 2);
    assert_int_equal(group_member_count(world->group), 0);
    /* Below the server's bounds, which were others once: the server's own hold. */
    set_own(&own, "999", "500");
    group_reconfigure(world->group);
    assert_int_equal(reply(world, heartbeat(world, HB(.id = "a", .topics = {"t"})))
                         ->consumer.heartbeat_interval_ms,
                     5000);
    overrides_deinit(&own);
    world_free(world);
}

static void bad_settings_of_a_group_are_refused(void **state)
{
    static const struct {
        const char *session, *interval, *words;
    } cases[] = {
        {"2000", "500", NULL},
        {"999", "500", "group.consumer.min.session.timeout.ms=1000"},
        {"60001", "500", "group.consumer.max.session.timeout.ms=60000"},
        {"2000", "0", "heartbeat.interval.ms"},
        {"2000", "2000", "must be below consumer.session.timeout.ms=2000"},
        {"soon", "500", "soon"},
    };
    struct group_config server;
    group_config_init(&server);
    server.consumer_min_session_timeout_ms = 1000;
    server.consumer_max_session_timeout_ms = 60000;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct overrides own = {0};
        struct consumer_config config;
        struct reason reason = {.text = ""};
        set_own(&own, cases[i].session, cases[i].interval);
        enum err err = consumer_config_build(&server, &own, &config, &reason);
        assert_int_equal(err, cases[i].words == NULL ? ERR_NONE : ERR_CONFIG);
        if (err != ERR_NONE && strstr(reason.text, cases[i].words) == NULL) {
            fail_msg("'%s' does not say '%s'", reason.text, cases[i].words);
        }
        overrides_deinit(&own);
    }
}

static void partitions_are_given_up_before_they_are_given(void **state)
{
    struct world *world = consumer_world(&topics);
    struct consumer_client c[3] = {{.id = "a"}, {.id = "b"}, {.id = "c"}};
    set_topic(&topics, "t", 6);
    settle(world, c, 1, "t");
    assert_int_equal(c[0].owned.count, 6);
    assert_int_equal(client_beat(world, &c[1], "t"), ERR_NONE);
    assert_int_equal(c[1].owned.count, 0); /* a has them all yet */
    assert_int_equal(group_shown_state(world->group), GROUP_RECONCILING);
    assert_int_equal(client_beat(world, &c[0], "t"), ERR_NONE);
    assert_int_equal(c[0].owned.count, 3); /* told to give up three */
    assert_int_equal(c[0].epoch, 1);
    client_beat(world, &c[1], "t");
    assert_int_equal(c[1].owned.count, 0); /* not before a says that it did */
    client_beat(world, &c[0], "t");
    assert_int_equal(c[0].epoch, 2);
    client_beat(world, &c[1], "t");
    assert_int_equal(c[1].owned.count, 3);
    settle(world, c, 3, "t");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(c[i].owned.count, 2);
        assert_int_equal(c[i].epoch, 3);
    }
    assert_int_equal(group_shown_state(world->group), GROUP_STABLE);
    assert_replay_equal(world);
    free_clients(c, 3);
    world_free(world);
}

static void requests_that_make_no_sense_change_nothing(void **state)
{
    struct world *world = consumer_world(&topics);
    set_topic(&topics, "t", 3);
    struct partition_set owned = {0};
    partition_set_push(&owned, id_of_topic(&topics, "t"), 0);
    const struct {
        struct hb hb;
        enum err err;
        const char *part;
    } cases[] = {
        {HB(.topics = {"t"}), ERR_INVALID, "MemberId"},
        {HB(.id = "a", .topics = {"t"}, .instance = ""), ERR_INVALID, "InstanceId"},
        {HB(.id = "a", .topics = {"t"}, .rack = " "), ERR_INVALID, "RackId"},
        {HB(.id = "a", .topics = {"t"}, .rebalance_ms = -1), ERR_INVALID, "RebalanceTimeoutMs"},
        {HB(.id = "a", .topics = {"t"}, .owned = &owned), ERR_INVALID, "TopicPartitions"},
        {HB(.id = "a"), ERR_INVALID, "SubscribedTopic"},
        {HB(.id = "a", .regex = ""), ERR_INVALID, "SubscribedTopic"},
        {HB(.id = "a", .epoch = -3), ERR_INVALID, "MemberEpoch"},
        {HB(.id = "a", .epoch = -2), ERR_INVALID, "InstanceId"},
        {HB(.id = "a", .topics = {"t"}, .assignor = "best"), ERR_UNSUPPORTED_ASSIGNOR, "uniform"},
        {HB(.id = "a", .regex = "("), ERR_INVALID_REGEX, "("},
        {HB(.id = "a", .epoch = 4), ERR_GROUP_NOT_FOUND, "not a consumer group"},
        {HB(.id = "a", .epoch = -1), ERR_GROUP_NOT_FOUND, "not a consumer group"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_error(world, heartbeat(world, cases[i].hb), cases[i].err, cases[i].part);
        assert_true(group_is_forgotten(world->group));
    }
    assert_int_equal(world->log_size, 0);
    partition_set_deinit(&owned);
    world_free(world);
}

static void an_older_or_newer_epoch_is_fenced(void **state)
{
    struct world *world = consumer_world(&topics);
    struct consumer_client c[2] = {{.id = "a"}, {.id = "b"}};
    set_topic(&topics, "t", 2);
    settle(world, c, 2, "t");
    assert_int_equal(c[0].epoch, 2);
    assert_error(world, heartbeat(world, HB(.id = "a", .epoch = 3)), ERR_FENCED_MEMBER_EPOCH,
                 "rejoin");
    assert_error(world, heartbeat(world, HB(.id = "a", .epoch = 1)), ERR_FENCED_MEMBER_EPOCH, "");
    assert_error(world, heartbeat(world, HB(.id = "x", .epoch = 2)), ERR_UNKNOWN_MEMBER, "x");
    /* The answer with the new epoch was lost: the one before will do, with what it owned. */
    set_topic(&topics, "t", 4);
    uint64_t lost = heartbeat(world, HB(.id = "a", .epoch = 2));
    assert_int_equal(reply(world, lost)->consumer.member_epoch, 3);
    uint64_t again = heartbeat(world, HB(.id = "a", .epoch = 2, .owned = &c[0].owned));
    assert_int_equal(reply(world, again)->err, ERR_NONE);
    assert_int_equal(reply(world, again)->consumer.member_epoch, 3);
    /* It lost everything and starts over. */
    again = heartbeat(world, HB(.id = "a", .topics = {"t"}));
    assert_int_equal(reply(world, again)->err, ERR_NONE);
    assert_true(reply(world, again)->consumer.has_assignment);
    assert_replay_equal(world);
    free_clients(c, 2);
    world_free(world);
}

static void members_that_go_are_forgotten(void **state)
{
    struct world *world = consumer_world(&topics);
    struct consumer_client c[2] = {{.id = "a"}, {.id = "b"}};
    set_topic(&topics, "t", 4);
    settle(world, c, 2, "t");
    uint64_t n = heartbeat(world, HB(.id = "b", .epoch = -1));
    assert_int_equal(reply(world, n)->consumer.member_epoch, -1);
    settle(world, c, 1, "t");
    assert_int_equal(c[0].owned.count, 4);
    pass(world, 44000);
    assert_int_equal(group_member_count(world->group), 1);
    pass(world, 2000);
    assert_int_equal(group_member_count(world->group), 0);
    assert_int_equal(group_state(world->group), GROUP_EMPTY);
    assert_replay_equal(world);
    /* Deleted, nothing is left in the log. */
    assert_int_equal(delete_group(world), ERR_NONE);
    struct group *copy = replayed_consumer(world);
    assert_true(group_is_forgotten(copy));
    group_free(copy);
    free_clients(c, 2);
    world_free(world);
}

static void one_that_does_not_give_up_is_fenced(void **state)
{
    struct world *world = consumer_world(&topics);
    struct consumer_client c[2] = {{.id = "a"}, {.id = "b"}};
    set_topic(&topics, "t", 4);
    settle(world, c, 1, "t");
    client_beat(world, &c[1], "t");
    client_beat(world, &c[0], "t"); /* is told to give up two */
    for (int i = 0; i < 3; i++) {
        pass(world, REBALANCE_MS / 3 + 1); /* it lives, but keeps them */
        heartbeat(world, HB(.id = "a", .epoch = 1));
        client_beat(world, &c[1], "t");
    }
    assert_null(consumer_find(world->group->consumer, slice_str("a")));
    settle(world, &c[1], 1, "t");
    assert_int_equal(c[1].owned.count, 4);
    free_clients(c, 2);
    world_free(world);
}

static void static_members_come_back_to_what_they_had(void **state)
{
    struct world *world = consumer_world(&topics);
    struct consumer_client c[2] = {{.id = "a", .instance_id = "i"}, {.id = "b"}};
    set_topic(&topics, "t", 4);
    settle(world, c, 2, "t");
    struct partition_set had = {0};
    partition_set_copy(&had, &c[0].owned);
    assert_error(world, heartbeat(world, HB(.id = "n", .instance = "i", .topics = {"t"})),
                 ERR_UNRELEASED_INSTANCE, "a");
    assert_error(world, heartbeat(world, HB(.id = "n", .instance = "i", .epoch = 2)),
                 ERR_FENCED_INSTANCE, "a");
    assert_error(world, heartbeat(world, HB(.id = "n", .instance = "j", .epoch = 2)),
                 ERR_UNKNOWN_MEMBER, "j");
    uint64_t n = heartbeat(world, HB(.id = "a", .instance = "i", .epoch = -2));
    assert_int_equal(reply(world, n)->consumer.member_epoch, -2);
    settle(world, &c[1], 1, "t");
    assert_int_equal(c[1].owned.count, 2);
    client_forget(&c[0]);
    snprintf(c[0].id, sizeof c[0].id, "n");
    assert_int_equal(client_beat(world, &c[0], "t"), ERR_NONE);
    assert_true(partition_set_equal(&had, &c[0].owned));
    assert_int_equal(c[0].epoch, 2); /* nobody else noticed */
    assert_null(consumer_find(world->group->consumer, slice_str("a")));
    assert_replay_equal(world);
    /* Gone for good once its session ends. */
    heartbeat(world, HB(.id = "n", .instance = "i", .epoch = -2));
    pass(world, 30000);
    client_beat(world, &c[1], "t");
    pass(world, 30000);
    settle(world, &c[1], 1, "t");
    assert_int_equal(c[1].owned.count, 4);
    partition_set_deinit(&had);
    free_clients(c, 2);
    world_free(world);
}

static void topics_that_come_and_go_are_followed(void **state)
{
    struct world *world = consumer_world(&topics);
    struct consumer_client c[1] = {{.id = "a"}};
    settle(world, c, 1, "t");
    assert_int_equal(c[0].owned.count, 0);
    set_topic(&topics, "t", 2);
    settle(world, c, 1, "t");
    assert_int_equal(c[0].owned.count, 2);
    set_topic(&topics, "t", 5);
    settle(world, c, 1, "t");
    assert_int_equal(c[0].owned.count, 5);
    set_topic(&topics, "other", 5); /* nothing to do with it */
    int32_t epoch = c[0].epoch;
    settle(world, c, 1, "t");
    assert_int_equal(c[0].epoch, epoch);
    set_topic(&topics, "t", 0);
    settle(world, c, 1, "t");
    assert_int_equal(c[0].owned.count, 0);
    set_topic(&topics, "t", 1); /* a new one of the same name */
    settle(world, c, 1, "t");
    assert_int_equal(c[0].owned.count, 1);
    assert_replay_equal(world);
    free_clients(c, 1);
    world_free(world);
}

static void regular_expressions_subscribe(void **state)
{
    struct world *world = consumer_world(&topics);
    set_topic(&topics, "orders-eu", 2);
    set_topic(&topics, "stock", 2);
    uint64_t n = heartbeat(world, HB(.id = "a", .regex = "orders-.*"));
    assert_int_equal(reply(world, n)->consumer.topic_count, 1);
    assert_true(world->group->kind->is_subscribed(world->group, slice_str("orders-eu")));
    assert_false(world->group->kind->is_subscribed(world->group, slice_str("stock")));
    set_topic(&topics, "orders-us", 3);
    n = heartbeat(world, HB(.id = "a", .epoch = 1));
    assert_int_equal(reply(world, n)->consumer.member_epoch, 2);
    assert_int_equal(reply(world, n)->consumer.topic_count, 2);
    assert_replay_equal(world);
    assert_error(world, heartbeat(world, HB(.id = "a", .epoch = 2, .regex = "[")),
                 ERR_INVALID_REGEX, "[");
    /* Empty means none: the names alone count. */
    struct partition_set none = {0};
    n = heartbeat(world,
                  HB(.id = "a", .epoch = 2, .regex = "", .topics = {"stock"}, .owned = &none));
    assert_int_equal(reply(world, n)->err, ERR_NONE);
    n = heartbeat(world,
                  HB(.id = "a", .epoch = reply(world, n)->consumer.member_epoch, .owned = &none));
    assert_int_equal(world->group->consumer->members->assigned.count, 2);
    assert_null(world->group->consumer->regexes);
    assert_replay_equal(world);
    world_free(world);
}

/* As in Kafka for whom it is looked up; and not by what members with another one may see. */
static void an_expression_brings_what_its_member_may_see(void **state)
{
    struct world *world = consumer_world(&topics);
    struct group *group = world->group;
    set_topic(&topics, "orders-eu", 1);
    set_topic(&topics, "orders-us", 1);
    set_topic(&topics, "stock", 1);
    heartbeat(world, HB(.id = "a", .regex = "orders-.*", .sees = "orders-e", .rights = 1));
    assert_true(group->kind->is_subscribed(group, slice_str("orders-eu")));
    assert_false(group->kind->is_subscribed(group, slice_str("orders-us")));
    heartbeat(world, HB(.id = "b", .regex = "stock", .rights = 1));
    assert_true(group->kind->is_subscribed(group, slice_str("stock")));
    set_topic(&topics, "orders-ee", 1); /* b's look at the catalogue is not a's */
    heartbeat(world, HB(.id = "b", .epoch = group->consumer->epoch, .rights = 1));
    assert_false(group->kind->is_subscribed(group, slice_str("orders-ee")));
    heartbeat(world, HB(.id = "a", .epoch = 1, .sees = "orders-e", .rights = 1));
    assert_true(group->kind->is_subscribed(group, slice_str("orders-ee")));
    assert_false(group->kind->is_subscribed(group, slice_str("orders-us")));
    assert_replay_equal(world);
    /* A right more, and one less. */
    heartbeat(world,
              HB(.id = "a", .epoch = group->consumer->epoch, .sees = "orders-", .rights = 2));
    assert_true(group->kind->is_subscribed(group, slice_str("orders-us")));
    heartbeat(world,
              HB(.id = "a", .epoch = group->consumer->epoch, .sees = "orders-u", .rights = 3));
    assert_true(group->kind->is_subscribed(group, slice_str("orders-us")));
    assert_false(group->kind->is_subscribed(group, slice_str("orders-eu")));
    assert_replay_equal(world);
    world_free(world);
}

/* While an expression is looked up, heartbeats are answered with what is known. */
static void expressions_are_looked_up_meanwhile(void **state)
{
    struct world *world = consumer_world(&topics);
    set_topic(&topics, "orders-eu", 2);
    topics.matched = false;
    uint64_t n = heartbeat(world, HB(.id = "a", .regex = "orders-.*"));
    assert_int_equal(reply(world, n)->err, ERR_NONE);
    assert_int_equal(reply(world, n)->consumer.topic_count, 0);
    int32_t epoch = reply(world, n)->consumer.member_epoch;
    n = heartbeat(world, HB(.id = "a", .epoch = epoch));
    assert_int_equal(reply(world, n)->consumer.member_epoch, epoch);
    topics.matched = true;
    n = heartbeat(world, HB(.id = "a", .epoch = epoch));
    assert_int_equal(reply(world, n)->consumer.topic_count, 1);
    epoch = reply(world, n)->consumer.member_epoch;
    topics.matched = false; /* what is known stays */
    set_topic(&topics, "orders-us", 3);
    n = heartbeat(world, HB(.id = "a", .epoch = epoch));
    assert_int_equal(reply(world, n)->consumer.member_epoch, epoch);
    assert_true(world->group->kind->is_subscribed(world->group, slice_str("orders-eu")));
    assert_replay_equal(world);
    topics.matched = true;
    n = heartbeat(world, HB(.id = "a", .epoch = epoch));
    assert_int_equal(reply(world, n)->consumer.topic_count, 2);
    assert_replay_equal(world);
    world_free(world);
}

static void members_choose_the_assignor(void **state)
{
    struct world *world = consumer_world(&topics);
    set_topic(&topics, "t", 3);
    heartbeat(world, HB(.id = "a", .topics = {"t"}));
    assert_int_equal(consumer_preferred_assignor(world->group), ASSIGNOR_UNIFORM);
    heartbeat(world, HB(.id = "b", .topics = {"t"}, .assignor = "range"));
    assert_int_equal(consumer_preferred_assignor(world->group), ASSIGNOR_RANGE);
    world->config.consumer_assignor_count = 1; /* range is not offered any more */
    assert_error(world, heartbeat(world, HB(.id = "c", .topics = {"t"}, .assignor = "range")),
                 ERR_UNSUPPORTED_ASSIGNOR, "range");
    world_free(world);
}

static void a_full_group_takes_no_more(void **state)
{
    struct world *world = consumer_world(&topics);
    world->config.consumer_max_size = 1;
    set_topic(&topics, "t", 3);
    heartbeat(world, HB(.id = "a", .topics = {"t"}));
    assert_error(world, heartbeat(world, HB(.id = "b", .topics = {"t"})), ERR_GROUP_MAX_SIZE,
                 "group.consumer.max.size=1");
    uint64_t n = heartbeat(world, HB(.id = "a", .topics = {"t"}));
    assert_int_equal(reply(world, n)->err, ERR_NONE);
    world_free(world);
}

static uint64_t commit(struct world *world, const char *id, int32_t epoch, int16_t version)
{
    struct group_offset_commit item = {.topic = slice_str("t"), .offset = 7, .leader_epoch = -1};
    struct group_commit_request request = {
        .waiter = next_waiter(world),
        .member_id = slice_str(id),
        .generation = epoch,
        .retention_ms = -1,
        .offsets = &item,
        .count = 1,
    };
    request.waiter.api_version = version;
    struct group_effects effects = {0};
    group_commit(world->group, &request, world->now, &effects);
    world_take(world, &effects);
    return request.waiter.token.sequence;
}

static enum err txn_committed(struct world *world, const char *id, int32_t epoch, int16_t version)
{
    struct group_offset_commit item = {.topic = slice_str("t"), .offset = 7, .leader_epoch = -1};
    struct group_txn_commit_request request = {
        .waiter = next_waiter(world),
        .producer_id = 7,
        .member_id = slice_str(id),
        .generation = epoch,
        .offsets = &item,
        .count = 1,
    };
    request.waiter.api_version = version;
    struct group_effects effects = {0};
    group_txn_commit(world->group, &request, world->now, &effects);
    world_take(world, &effects);
    return reply(world, request.waiter.token.sequence)->partitions.items[0].err;
}

static enum err committed(struct world *world, uint64_t n)
{
    return reply(world, n)->partitions.items[0].err;
}

static void offsets_need_the_epoch(void **state)
{
    struct world *world = consumer_world(&topics);
    set_topic(&topics, "t", 3);
    heartbeat(world, HB(.id = "a", .topics = {"t"}));
    assert_int_equal(committed(world, commit(world, "a", 1, 9)), ERR_NONE);
    assert_int_equal(committed(world, commit(world, "a", 2, 9)), ERR_STALE_MEMBER_EPOCH);
    assert_int_equal(committed(world, commit(world, "a", 1, 8)), ERR_UNSUPPORTED);
    assert_int_equal(committed(world, commit(world, "x", 1, 9)), ERR_UNKNOWN_MEMBER);
    assert_int_equal(committed(world, commit(world, "", -1, 9)), ERR_UNKNOWN_MEMBER);
    assert_int_equal(txn_committed(world, "a", 1, 5), ERR_NONE);
    assert_int_equal(txn_committed(world, "a", 2, 5), ERR_ILLEGAL_GENERATION);
    assert_int_equal(txn_committed(world, "a", 2, 6), ERR_STALE_MEMBER_EPOCH); /* KIP-1319 */
    const struct group *group = world->group;
    assert_int_equal(group_check_fetch(group, slice_str("a"), 1), ERR_NONE);
    assert_int_equal(group_check_fetch(group, slice_str("a"), 0), ERR_STALE_MEMBER_EPOCH);
    assert_int_equal(group_check_fetch(group, slice_str("x"), 1), ERR_UNKNOWN_MEMBER);
    assert_int_equal(group_check_fetch(group, slice_str(NULL), -1), ERR_NONE);
    heartbeat(world, HB(.id = "a", .epoch = -1));
    assert_int_equal(committed(world, commit(world, "", -1, 9)), ERR_NONE);
    world_free(world);
}

static void what_was_not_stored_is_stored_later(void **state)
{
    struct world *world = consumer_world(&topics);
    set_topic(&topics, "t", 2);
    heartbeat(world, HB(.id = "a", .topics = {"t"}));
    world->disk = ERR_IO;
    assert_error(world, heartbeat(world, HB(.id = "b", .topics = {"t"})),
                 ERR_COORDINATOR_UNAVAILABLE, "try again");
    uint64_t n = heartbeat(world, HB(.id = "a", .epoch = -1));
    assert_error(world, n, ERR_COORDINATOR_UNAVAILABLE, "try again");
    world->disk = ERR_NONE;
    n = heartbeat(world, HB(.id = "b", .topics = {"t"}));
    assert_int_equal(reply(world, n)->err, ERR_NONE);
    assert_replay_equal(world);
    world_free(world);
}

static void answers_wait_for_the_disk(void **state)
{
    struct world *world = consumer_world(&topics);
    set_topic(&topics, "t", 2);
    world->slow_disk = true;
    uint64_t first = heartbeat(world, HB(.id = "a", .topics = {"t"}));
    assert_null(reply(world, first));
    /* This one has nothing to store, but tells the same. */
    uint64_t second = heartbeat(world, HB(.id = "a", .epoch = 1));
    assert_null(reply(world, second));
    flush(world);
    assert_non_null(reply(world, first));
    assert_int_equal(reply(world, second)->err, ERR_NONE);
    world_free(world);
}

/* ---- with classic members ---- */

/* SyncGroup: what the classic member is given. */
static struct partition_set classic_sync(struct world *world, const char *id, int32_t generation)
{
    uint64_t n = sync_with(world, id, NULL, generation, NULL, 0);
    struct partition_set set = {0};
    assert_int_equal(reply(world, n)->err, ERR_NONE);
    assert_int_equal(consumer_assignment_read(world->group, reply(world, n)->sync.assignment, &set),
                     ERR_NONE);
    return set;
}

/* A stable classic group of one, which has all of t. */
static const char *classic_group(struct world *world)
{
    uint64_t n = classic_join(world, "", NULL, NULL);
    const char *id = id_of(world, n);
    struct partition_set all = {0};
    struct arena arena = {0};
    int32_t count = 0;
    struct wire_uuid topic = {{0}};
    topics_find(&topics, slice_str("t"), &topic, &count);
    for (int32_t i = 0; i < count; i++) {
        partition_set_push(&all, topic, i);
    }
    struct group_assignment item = {slice_str(id),
                                    consumer_assignment_write(world->group, &all, 1, &arena)};
    sync_with(world, id, NULL, group_generation(world->group), &item, 1);
    assert_int_equal(group_state(world->group), GROUP_STABLE);
    arena_deinit(&arena);
    partition_set_deinit(&all);
    return id;
}

static enum err classic_beat(struct world *world, const char *id, int32_t generation)
{
    return beat_as(world, id, NULL, generation);
}

static void a_classic_group_moves_to_the_new_protocol_and_back(void **state)
{
    struct world *world = consumer_world(&topics);
    struct consumer_client c[1] = {{.id = "new"}};
    set_topic(&topics, "t", 4);
    const char *old = classic_group(world);
    client_beat(world, &c[0], "t");
    assert_true(group_is_consumer(world->group));
    assert_int_equal(c[0].epoch, 2);
    assert_int_equal(c[0].owned.count, 0); /* the classic member has everything yet */
    assert_replay_equal(world);
    /* The classic one is called to rebalance, gives up half, and goes on. */
    assert_int_equal(classic_beat(world, old, 1), ERR_REBALANCE_IN_PROGRESS);
    struct partition_set owned = {0};
    partition_set_copy(&owned, &consumer_find(world->group->consumer, slice_str(old))->assigned);
    uint64_t n = classic_join(world, old, NULL, &owned);
    assert_int_equal(reply(world, n)->err, ERR_NONE);
    assert_slice(reply(world, n)->join.protocol, "cooperative");
    partition_set_deinit(&owned);
    owned = classic_sync(world, old, reply(world, n)->join.generation);
    assert_int_equal(owned.count, 2);
    n = classic_join(world, old, NULL, &owned); /* cooperative: it gave up and joins again */
    partition_set_deinit(&owned);
    owned = classic_sync(world, old, reply(world, n)->join.generation);
    assert_int_equal(owned.count, 2);
    settle(world, c, 1, "t");
    assert_int_equal(c[0].owned.count, 2);
    assert_int_equal(classic_beat(world, old, reply(world, n)->join.generation), ERR_NONE);
    assert_replay_equal(world);
    /* A second classic member joins, and the new one leaves. */
    n = classic_join(world, "", NULL, NULL);
    assert_int_equal(reply(world, n)->err, ERR_NONE);
    const char *second = id_of(world, n);
    n = heartbeat(world, HB(.id = "new", .epoch = -1));
    assert_int_equal(reply(world, n)->err, ERR_NONE);
    assert_false(group_is_consumer(world->group));
    assert_int_equal(group_state(world->group), GROUP_PREPARING_REBALANCE);
    assert_replay_equal(world);
    uint64_t a = classic_join(world, old, NULL, &owned);
    uint64_t b = classic_join(world, second, NULL, NULL);
    assert_int_equal(reply(world, a)->err, ERR_NONE);
    assert_int_equal(reply(world, b)->err, ERR_NONE);
    partition_set_deinit(&owned);
    free_clients(c, 1);
    world_free(world);
}

static void the_policy_may_forbid_moving(void **state)
{
    struct world *world = consumer_world(&topics);
    set_topic(&topics, "t", 4);
    classic_group(world);
    world->config.consumer_upgrade = false;
    assert_error(world, heartbeat(world, HB(.id = "new", .topics = {"t"})), ERR_GROUP_NOT_FOUND,
                 "not a consumer group");
    assert_false(group_is_consumer(world->group));
    world->config.consumer_upgrade = true;
    world->config.consumer_downgrade = false;
    heartbeat(world, HB(.id = "new", .topics = {"t"}));
    heartbeat(world, HB(.id = "new", .epoch = -1));
    assert_true(group_is_consumer(world->group));
    assert_replay_equal(world);
    world_free(world);
}

static void a_static_member_may_change_its_protocol(void **state)
{
    struct world *world = consumer_world(&topics);
    set_topic(&topics, "t", 4);
    heartbeat(world, HB(.id = "a", .instance = "i", .topics = {"t"}));
    uint64_t n = classic_join(world, "", "i", NULL);
    assert_int_equal(reply(world, n)->err, ERR_NONE);
    const char *id = id_of(world, n);
    assert_false(group_is_consumer(world->group)); /* it was the only one */
    assert_int_equal(group_state(world->group), GROUP_STABLE);
    uint64_t s = sync_with(world, id, "i", reply(world, n)->join.generation, NULL, 0);
    assert_int_equal(reply(world, s)->err, ERR_NONE);
    struct partition_set set;
    assert_int_equal(consumer_assignment_read(world->group, reply(world, s)->sync.assignment, &set),
                     ERR_NONE);
    assert_int_equal(set.count, 4);
    partition_set_deinit(&set);
    assert_replay_equal(world);
    world_free(world);
}

static void a_static_classic_member_that_died_giving_up_frees_it_by_coming_back(void **state)
{
    struct world *world = consumer_world(&topics);
    struct consumer_client c[1] = {{.id = "new"}};
    set_topic(&topics, "t", 4);
    uint64_t n = classic_join(world, "", "a", NULL);
    const char *old = id_of(world, n);
    struct partition_set all = {0};
    for (int32_t i = 0; i < 4; i++) {
        partition_set_push(&all, id_of_topic(&topics, "t"), i);
    }
    struct arena arena = {0};
    struct group_assignment item = {slice_str(old),
                                    consumer_assignment_write(world->group, &all, 1, &arena)};
    sync_with(world, old, "a", 1, &item, 1);
    client_beat(world, &c[0], "t");
    n = classic_join(world, old, "a", &all); /* it is to give up two, and dies */
    assert_int_equal(consumer_find(world->group->consumer, slice_str(old))->state,
                     CONSUMER_UNREVOKED);
    client_beat(world, &c[0], "t");
    assert_int_equal(c[0].owned.count, 0);
    n = classic_join(world, "", "a", NULL);
    assert_int_equal(reply(world, n)->err, ERR_NONE);
    client_beat(world, &c[0], "t");
    assert_int_equal(c[0].owned.count, 2);
    arena_deinit(&arena);
    partition_set_deinit(&all);
    free_clients(c, 1);
    world_free(world);
}

static void silent_classic_members_are_fenced(void **state)
{
    struct world *world = consumer_world(&topics);
    struct consumer_client c[1] = {{.id = "new"}};
    set_topic(&topics, "t", 4);
    const char *old = classic_group(world);
    client_beat(world, &c[0], "t");
    for (int64_t ms = 0; ms <= REBALANCE_MS; ms += 5000) { /* it beats, but does not join */
        (void)classic_beat(world, old, 1);
        client_beat(world, &c[0], "t");
        pass(world, 5000);
    }
    assert_int_equal(group_member_count(world->group), 1);
    settle(world, c, 1, "t");
    assert_int_equal(c[0].owned.count, 4);
    free_clients(c, 1);
    world_free(world);
}

static void an_empty_group_may_be_of_either_kind(void **state)
{
    struct world *world = consumer_world(&topics);
    set_topic(&topics, "t", 4);
    heartbeat(world, HB(.id = "a", .topics = {"t"}));
    assert_int_equal(committed(world, commit(world, "a", 1, 9)), ERR_NONE);
    heartbeat(world, HB(.id = "a", .epoch = -1));
    classic_group(world);
    assert_false(group_is_consumer(world->group));
    assert_int_equal(group_generation(world->group), 1);
    assert_replay_equal(world);
    struct group_offset offset = {.topic = slice_str("t")};
    struct arena arena = {0};
    group_offset_fetch(world->group, &arena, &offset);
    assert_int_equal(offset.offset, 7); /* offsets are those of the group, whatever its kind */
    arena_deinit(&arena);
    world_free(world);
}

static void what_happens_to_members_of_the_new_protocol_is_told(void **state)
{
    struct world *world = consumer_world(&topics);
    set_topic(&topics, "t", 2);
    heartbeat(world, HB(.id = "a", .topics = {"t"}));
    assert_told(world, GROUP_EVENT_JOINED, GROUP_EVENT_ASSIGNED);
    heartbeat(world, HB(.id = "a", .epoch = 1));
    assert_int_equal(world->told_count, 0); /* nothing happened */
    heartbeat(world, HB(.id = "b", .instance = "i", .topics = {"t"}));
    assert_told(world, GROUP_EVENT_JOINED, GROUP_EVENT_ASSIGNED);
    heartbeat(world, HB(.id = "a", .epoch = 7));
    assert_told(world, GROUP_EVENT_FENCED);
    heartbeat(world, HB(.id = "c", .instance = "i", .topics = {"t"}));
    assert_told(world, GROUP_EVENT_FENCED); /* UNRELEASED_INSTANCE_ID */
    assert_true(slice_equal_str(world->last_told->other, "b"));
    heartbeat(world, HB(.id = "b", .instance = "i", .epoch = -2));
    heartbeat(world, HB(.id = "c", .instance = "i", .topics = {"t"}));
    assert_told(world, GROUP_EVENT_AWAY, GROUP_EVENT_RETURNED);
    assert_true(slice_equal_str(world->last_told->other, "b"));
    heartbeat(world, HB(.id = "b", .instance = "i", .epoch = 1));
    assert_told(world, GROUP_EVENT_FENCED);
    assert_true(slice_equal_str(world->last_told->other, "c"));
    heartbeat(world, HB(.id = "a", .epoch = -1));
    assert_told(world, GROUP_EVENT_LEFT);
    pass(world, 10 * REBALANCE_MS);
    assert_told(world, GROUP_EVENT_TIMED_OUT, GROUP_EVENT_EMPTY);
    world_free(world);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_first_member_gets_everything),
        cmocka_unit_test(a_group_has_settings_of_its_own),
        cmocka_unit_test(bad_settings_of_a_group_are_refused),
        cmocka_unit_test(partitions_are_given_up_before_they_are_given),
        cmocka_unit_test(requests_that_make_no_sense_change_nothing),
        cmocka_unit_test(an_older_or_newer_epoch_is_fenced),
        cmocka_unit_test(members_that_go_are_forgotten),
        cmocka_unit_test(one_that_does_not_give_up_is_fenced),
        cmocka_unit_test(static_members_come_back_to_what_they_had),
        cmocka_unit_test(topics_that_come_and_go_are_followed),
        cmocka_unit_test(regular_expressions_subscribe),
        cmocka_unit_test(an_expression_brings_what_its_member_may_see),
        cmocka_unit_test(expressions_are_looked_up_meanwhile),
        cmocka_unit_test(members_choose_the_assignor),
        cmocka_unit_test(a_full_group_takes_no_more),
        cmocka_unit_test(offsets_need_the_epoch),
        cmocka_unit_test(what_was_not_stored_is_stored_later),
        cmocka_unit_test(answers_wait_for_the_disk),
        cmocka_unit_test(a_classic_group_moves_to_the_new_protocol_and_back),
        cmocka_unit_test(the_policy_may_forbid_moving),
        cmocka_unit_test(a_static_member_may_change_its_protocol),
        cmocka_unit_test(a_static_classic_member_that_died_giving_up_frees_it_by_coming_back),
        cmocka_unit_test(silent_classic_members_are_fenced),
        cmocka_unit_test(an_empty_group_may_be_of_either_kind),
        cmocka_unit_test(what_happens_to_members_of_the_new_protocol_is_told),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
