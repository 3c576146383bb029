#include "fuzz.h"
#include "group/consumer.h"

#include <utlist.h>

/* The log of a group with two members, one of them classic, and patterns. */

static const struct clock_time now = {.mono_ms = 1000, .wall_ms = 1700000000000};

static bool find(void *context, struct slice name, struct wire_uuid *id, int32_t *count)
{
    (void)context;
    *id = (struct wire_uuid){{name.size > 0 ? name.data[0] : 1}};
    *count = 3;
    return true;
}

static enum group_match match(void *context, struct slice regex, uint64_t known,
                              struct arena *arena, struct group_matched *out)
{
    (void)context;
    (void)regex;
    *out = (struct group_matched){.version = 1, .current = true};
    if (known == 1) {
        return GROUP_MATCH_SAME;
    }
    out->names = arena_alloc(arena, sizeof *out->names);
    *out->names = slice_str("t");
    out->count = 1;
    return GROUP_MATCH_NEW;
}

static void append(struct buf *to, struct slice bytes)
{
    buf_append_be16(to, slice_is_null(bytes) ? 0xffff : (uint16_t)bytes.size);
    buf_append_slice(to, bytes);
}

static void carry_out(struct group *group, struct group_effects *effects, struct buf *log)
{
    while (effects->stores != NULL) {
        struct group_store *store = effects->stores;
        effects->stores = store->next;
        store->next = NULL;
        for (size_t i = 0; i < store->records.count; i++) {
            append(log, store->records.items[i].key);
            append(log, store->records.items[i].value);
        }
        group_stored(group, store, ERR_NONE, now, effects);
    }
    group_effects_deinit(effects);
}

static void beat(struct group *group, const char *id, int32_t epoch, struct buf *log)
{
    struct slice topic = slice_str("t");
    struct consumer_heartbeat_request request = {
        .waiter.api_version = 1,
        .member_id = slice_str(id),
        .member_epoch = epoch,
        .instance_id = id[0] == 's' ? slice_str("instance") : (struct slice){0},
        .rebalance_timeout_ms = 1000,
        .has_topics = true,
        .topics = &topic,
        .topic_count = 1,
        .regex = slice_str("t.*"),
        .assignor = slice_str("range"),
        .has_owned = true,
        .client_id = slice_str("c"),
        .client_host = slice_str("/h"),
    };
    struct group_effects effects = {0};
    consumer_heartbeat(group, &request, now, &effects);
    carry_out(group, &effects, log);
}

static void join_classic(struct group *group, struct buf *log)
{
    static const uint8_t subscription[] = {0, 0, 0, 0, 0, 1, 0, 1, 't', 0xff, 0xff, 0xff, 0xff};
    struct group_protocol_offer offer = {slice_str("range"),
                                         slice_of(subscription, sizeof subscription)};
    struct group_join_request request = {
        .client_id = slice_str("c"),
        .client_host = slice_str("/h"),
        .protocol_type = slice_str("consumer"),
        .protocols = &offer,
        .protocol_count = 1,
        .session_timeout_ms = 10000,
        .rebalance_timeout_ms = 10000,
    };
    struct group_effects effects = {0};
    group_join(group, &request, now, &effects);
    carry_out(group, &effects, log);
}

void fuzz_seeds(const char *corpus_path, void (*each)(void *context, struct slice seed),
                void *context)
{
    static const char *const patterns[] = {
        "\001t.*",
        "\001(a|b)+c{2,3}[^d-f\\w]?$",
        "\001(?i)\\Qx\\E[[:alpha:]]\\b\\x41",
    };
    (void)corpus_path; /* nothing kept yet */
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        each(context, slice_of(patterns[i], strlen(patterns[i]) + 1));
    }
    struct group_config config;
    group_config_init(&config);
    config.topics.find = find;
    config.topics.match = match;
    struct group *group = group_new(slice_str("g"), &config, now);
    struct buf log = {0};
    buf_append_u8(&log, 0);
    beat(group, "m", 0, &log);
    each(context, buf_slice(&log));
    beat(group, "static", 0, &log);
    join_classic(group, &log);
    each(context, buf_slice(&log));
    beat(group, "m", -1, &log);
    beat(group, "static", -1, &log);
    each(context, buf_slice(&log));
    group_free(group);
    buf_deinit(&log);
}
