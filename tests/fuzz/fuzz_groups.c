/*
 * What consumer groups read that may be anything: records of __consumer_offsets at start (first
 * byte even; then records as key size u16, key, value size u16 with 0xffff for none, value), and
 * regular expressions of clients (first byte odd; then the pattern, a NUL and a name). A group that
 * was replayed can be described, and what it stores of itself is understood again.
 */
#include "base/pattern.h"
#include "fuzz.h"
#include "group/consumer.h"
#include "group/consumer_pieces.h"
#include "parts.h"

#include <stdio.h>
#include <stdlib.h>

static const struct clock_time now = {.mono_ms = 1000, .wall_ms = 1700000000000};

static void must(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "groups: %s\n", what);
        abort();
    }
}

static void replay(struct group *group, struct slice left)
{
    struct slice key, value;
    while (take(&left, &key) && take(&left, &value)) {
        struct group_record_key parsed;
        if (group_record_key_read(key, &parsed) == ERR_NONE) {
            (void)!group_apply_record(group, &parsed, value, now);
        }
    }
    struct group_effects effects = {0};
    group_loaded(group, now, &effects);
    group_effects_deinit(&effects);
}

static void describe(const struct group *group)
{
    struct arena arena = {0};
    struct group_description classic;
    struct consumer_description consumer;
    group_describe(group, &arena, &classic);
    if (group_is_consumer(group)) {
        consumer_describe(group, &arena, &consumer);
        must(consumer.member_count == group_member_count(group), "members are missing");
    }
    arena_deinit(&arena);
}

static void store_piece(const struct group *group, enum group_record_kind kind, struct slice name,
                        struct group_store *store)
{
    struct arena arena = {0};
    struct group_record_key key = {.kind = kind, .name = name};
    struct group_change change = consumer_piece(group, &key, &arena);
    must(!change.gone, "a piece is gone");
    group_change_store(&change, store);
    arena_deinit(&arena);
}

/* Stores the whole group and replays that into another one. */
static void store_again(struct group *group, const struct group_config *config)
{
    const struct consumer_group *consumer = group->consumer;
    struct group_store *store = group_store_new(NULL);
    struct slice none = {0};
    store_piece(group, GROUP_RECORD_EPOCH, none, store);
    store_piece(group, GROUP_RECORD_TOPICS, none, store);
    store_piece(group, GROUP_RECORD_ASSIGNMENT_EPOCH, none, store);
    for (const struct consumer_member *m = consumer->members; m != NULL; m = m->hh.next) {
        store_piece(group, GROUP_RECORD_MEMBER, m->id, store);
        store_piece(group, GROUP_RECORD_TARGET, m->id, store);
        store_piece(group, GROUP_RECORD_CURRENT, m->id, store);
    }
    for (const struct consumer_regex *r = consumer->regexes; r != NULL; r = r->hh.next) {
        store_piece(group, GROUP_RECORD_REGEX, r->text, store);
    }
    struct group *copy = group_new(slice_str("g"), config, now);
    for (size_t i = 0; i < store->records.count; i++) {
        struct group_record_key key;
        must(group_record_key_read(store->records.items[i].key, &key) == ERR_NONE, "own key");
        must(group_apply_record(copy, &key, store->records.items[i].value, now) == ERR_NONE,
             "own value");
    }
    must(group_member_count(copy) == group_member_count(group), "a member was lost");
    group_store_free(store);
    group_free(copy);
}

static void try_pattern(struct slice text)
{
    const uint8_t *end = text.size > 0 ? memchr(text.data, 0, text.size) : NULL;
    size_t size = end != NULL ? (size_t)(end - text.data) : text.size;
    struct pattern *pattern;
    if (pattern_new(slice_of(text.data, size), &pattern, NULL) == ERR_NONE) {
        size_t name = text.size - size < 250 ? text.size - size : 250;
        (void)pattern_matches(pattern, slice_of(text.data + size, name));
        pattern_free(pattern);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct slice rest = slice_of(data + 1, size - 1);
    if ((data[0] & 1) != 0) {
        try_pattern(rest);
        return 0;
    }
    struct group_config config;
    group_config_init(&config);
    struct group *group = group_new(slice_str("g"), &config, now);
    replay(group, rest);
    describe(group);
    if (group_is_consumer(group)) {
        store_again(group, &config);
    }
    struct group_effects effects = {0};
    struct clock_time later = {.mono_ms = INT64_MAX / 2, .wall_ms = now.wall_ms};
    group_tick(group, later, &effects);
    group_effects_deinit(&effects);
    group_free(group);
    return 0;
}
