#include "sim_world.h"

/* --- a schedule --- */

static size_t lane_for(struct world *world, const struct sim_event *event)
{
    int key = world->settings.order == LANE_BY_KEY ? event->key : -1;
    bool is_alone = world->settings.order == LANE_FREE ||
                    (world->settings.order == LANE_BY_KEY && event->key < 0);
    for (size_t i = 0; i < world->lanes.count && !is_alone; i++) {
        const struct sim_lane *lane = &world->lanes.items[i];
        if (lane->partition == event->partition && lane->key == key && !lane->is_alone) {
            return i;
        }
    }
    vec_push(&world->lanes, (struct sim_lane){.partition = event->partition,
                                              .key = key,
                                              .is_alone = is_alone,
                                              .last = -1,
                                              .highest = -1});
    return world->lanes.count - 1;
}

static enum fate draw_fate(struct world *world)
{
    int64_t drawn = sim_between(world, 1, 100);
    if (world->is_malformed) {
        return drawn <= 50 ? GOOD : drawn <= 55 ? FLAKY : drawn <= 60 ? POISON : REJECTED;
    }
    if (world->is_crowded) {
        return drawn <= 55 ? GOOD : drawn <= 65 ? FLAKY : POISON;
    }
    return drawn <= 75 ? GOOD : drawn <= 85 ? FLAKY : drawn <= 95 ? POISON : REJECTED;
}

static void make_source(struct world *world, int partition)
{
    struct source *source = &world->sources[partition];
    int64_t offset = sim_between(world, 0, 3);
    int64_t count = sim_between(world, 5, 25) + (world->is_long ? 40 : 0);
    source->owner = -1;
    source->owner_epoch = -1;
    source->committed = -1;
    for (int64_t i = 0; i < count; i++) {
        vec_push(&source->events,
                 (struct sim_event){
                     .partition = partition,
                     .offset = offset,
                     .key = sim_chance(world, 85) ? (int)sim_between(world, 0, world->key_count - 1)
                                                  : -1,
                     .handler = world->fails_alone ? partition % HANDLERS
                                                   : (int)sim_between(world, 0, HANDLERS - 1),
                     .fate = draw_fate(world),
                     .fails_left = (int)sim_between(world, 1, 2)});
        /* compaction and markers leave holes */
        offset += sim_chance(world, 75) ? 1 : sim_between(world, 2, 6);
    }
    source->end = offset;
    for (size_t i = 0; i < source->events.count; i++) {
        struct sim_event *event = &source->events.items[i];
        event->fails_left = event->fate == FLAKY ? event->fails_left : 0;
        event->lane = lane_for(world, event);
        vec_push(&world->lanes.items[event->lane].events, event);
    }
}

/* What people say; and worlds where one lane has a handler for itself. */
static void draw_words(struct world *world)
{
    struct lane_settings *settings = &world->settings;
    world->has_words = sim_chance(world, 50);
    world->skips_all = world->has_words && sim_chance(world, 50);
    settings->attempts_alone = sim_chance(world, 10) ? (int)sim_between(world, 2, 5) : 0;
    world->fails_alone = !world->has_limits && sim_chance(world, 5);
    if (world->fails_alone) {
        settings->order = LANE_BY_PARTITION;
        settings->with_key = sim_chance(world, 50) ? LANE_PARK : LANE_SKIP;
        settings->attempts_alone = (int)sim_between(world, 2, 4);
    }
    bool may_stop = settings->with_key == LANE_STOP || settings->without_key == LANE_STOP;
    world->tries_alone = world->tries_alone && !world->fails_alone && !may_stop;
}

static void draw_settings(struct world *world)
{
    struct lane_settings *settings = &world->settings;
    lane_settings_init(settings);
    world->is_plain = sim_chance(world, 60);
    settings->order = sim_chance(world, 70)   ? LANE_BY_KEY
                      : sim_chance(world, 60) ? LANE_BY_PARTITION
                                              : LANE_FREE;
    settings->with_key = sim_chance(world, 70)                      ? LANE_PARK
                         : world->is_plain || sim_chance(world, 60) ? LANE_SKIP
                                                                    : LANE_STOP;
    settings->without_key = sim_chance(world, 80)                      ? LANE_SKIP
                            : world->is_plain || sim_chance(world, 60) ? LANE_PARK
                                                                       : LANE_STOP;
    settings->handler_count = HANDLERS;
    settings->workers = (int)sim_between(world, 1, 5);
    settings->attempts =
        (int)sim_between(world, 4, 5); /* flaky ones fail twice, an outage may count once */
    settings->backoff_first_ms = sim_between(world, 1, 20);
    settings->backoff_max_ms = sim_between(world, 20, 200);
    settings->probe_first_ms = sim_between(world, 5, 50);
    settings->probe_max_ms = sim_between(world, 50, 200);
    settings->down_after = (int)sim_between(world, 1, 4);
    settings->aside_after_ms = sim_between(world, 5, 300);
    settings->behind_ms = sim_between(world, 1, 300);
    settings->behind_events = sim_between(world, 0, 1) == 0 ? 1000 : sim_between(world, 0, 20);
    settings->commit_interval_ms = sim_between(world, 5, 100);
    settings->intake_events = (size_t)sim_between(world, 3, 20);
    settings->waiting_events = (size_t)sim_between(world, 2, 12);
    world->has_limits =
        sim_chance(world, 30); /* a partition stands still at them until a redrive */
    settings->open_lanes = world->has_limits ? (size_t)sim_between(world, 1, 4) : 1000;
    settings->aside_bytes = world->has_limits ? sim_between(world, 40, 400) : 1000000;
    settings->metadata_bytes = (size_t)sim_between(world, 40, 80);
    /* Whether the few that fail can be told from an outage, or it takes who would succeed. */
    world->tries_alone = !world->has_limits && sim_chance(world, 40);
    world->is_malformed = sim_chance(world, 10);
    world->is_crowded = world->tries_alone && !world->is_malformed && sim_chance(world, 30);
    if (world->is_crowded) {
        settings->waiting_events = (size_t)sim_between(world, 2, 5);
        settings->attempts = 100000;
    }
    if (!world->is_plain) {
        draw_words(world);
    }
    settings->down_after =
        world->tries_alone && sim_chance(world, 60) ? 1000 : settings->down_after;
    settings->attempts = world->tries_alone && sim_chance(world, 50) ? 100000 : settings->attempts;
}

static void world_begin(struct world *world, uint64_t seed, bool is_loud)
{
    *world = (struct world){.seed = seed, .random.state = seed, .is_loud = is_loud};
    draw_settings(world);
    world->transacts = seed % 3 == 1;
    world->settings.commits_on_request = world->transacts;
    world->is_long = seed % 60 == 1;
    if (world->is_long) {
        world->settings.metadata_bytes = 40;
        world->settings.intake_events = world->settings.waiting_events = 60;
    }
    world->key_count = (int)sim_between(world, 1, MOST_KEYS);
    for (int p = 0; p < PARTITIONS; p++) {
        make_source(world, p);
    }
    for (int h = 0; h < HANDLERS; h++) {
        world->outage_from_ms[h] = sim_between(world, 0, 800);
        world->outage_to_ms[h] =
            sim_chance(world, 60) ? world->outage_from_ms[h] + sim_between(world, 1, 1500) : 0;
    }
    for (int m = 0; m < MEMBERS; m++) {
        world->settles[m] = (struct op){.kind = OP_SETTLE, .member = m};
        sim_begin(world, m);
    }
    world->chaos_left = (int)sim_between(world, 0, world->has_words ? 25 : 12);
    sim_later(world, 0, OP_PUBLISH, -1);
    if (world->chaos_left > 0) {
        sim_later(world, sim_between(world, 1, 200), OP_CHAOS, -1);
    }
}

static void world_end(struct world *world)
{
    for (int m = 0; m < MEMBERS; m++) {
        heap_remove(&world->ops, &world->settles[m].node);
        if (world->members[m].is_alive) {
            sim_machine_end(world, m);
            sim_free_ready(world, m);
        }
    }
    for (size_t i = 0; i < world->ops.nodes.count; i++) {
        sim_op_free(container_of(world->ops.nodes.items[i], struct op, node), false);
    }
    heap_deinit(&world->ops);
    for (size_t i = 0; i < world->lanes.count; i++) {
        vec_deinit(&world->lanes.items[i].events);
    }
    vec_deinit(&world->lanes);
    for (int p = 0; p < PARTITIONS; p++) {
        vec_deinit(&world->sources[p].events);
        vec_deinit(&world->sources[p].lanes);
        free(world->sources[p].metadata);
    }
}

static bool is_published(const struct world *world)
{
    bool is_all = world->chaos_left <= 0;
    for (int p = 0; p < PARTITIONS; p++) {
        is_all &= world->sources[p].published == world->sources[p].events.count;
    }
    return is_all;
}

/* Every event is done, dead, or stands behind a dead one; what is committed says so. */
static bool is_settled(const struct world *world, bool all_done)
{
    for (int p = 0; p < PARTITIONS; p++) {
        const struct source *source = &world->sources[p];
        if (source->committed != source->end) {
            return false;
        }
        for (size_t i = 0; i < source->events.count; i++) {
            const struct sim_event *event = &source->events.items[i];
            bool is_aside = check_is_aside(world, p, event->offset);
            bool is_held = world->lanes.items[event->lane].was_held;
            if ((event->is_asked && (all_done || !is_held)) ||
                (event->applied == 0 && (all_done || (!event->is_dead && !is_aside))) ||
                (all_done && check_is_recorded(world, p, event->offset))) {
                return false;
            }
        }
    }
    return true;
}

enum { LONGEST_MS = 2000000, MOST_STEPS = 200000 };

/* Goes on until it is so; a world that never gets there fails. */
static void until(struct world *world, bool (*is_so)(const struct world *world), const char *what)
{
    int64_t limit_ms = world->now_ms + LONGEST_MS;
    for (int i = 0; !world->has_failed && !is_so(world); i++) {
        if (i > MOST_STEPS || world->now_ms > limit_ms || !sim_step(world)) {
            check_stuck(world, what);
        }
    }
}

static bool is_done_or_dead(const struct world *world)
{
    return is_settled(world, false);
}

/* Whatever fails for ever harms its own lane only. */
static bool is_harmless(const struct world *world)
{
    for (size_t i = 0; i < world->lanes.count; i++) {
        const struct sim_lane *lane = &world->lanes.items[i];
        for (size_t j = 0; j < lane->events.count; j++) {
            const struct sim_event *event = lane->events.items[j];
            if (lane->was_held) {
                break;
            }
            if (event->applied == 0 && (event->fate == POISON || event->fate == REJECTED)) {
                break;
            }
            if (event->applied == 0 && !event->is_dead) {
                /* its handler may have been away, with nobody beside it */
                bool may_be_parked = world->settings.attempts_alone > 0;
                if (!may_be_parked || !words_is_parked(world, lane)) {
                    return false;
                }
                break;
            }
        }
    }
    return true;
}

/* Who fails with nobody beside it is given up. */
static bool is_given_up(const struct world *world)
{
    for (size_t i = 0; i < world->lanes.count; i++) {
        const struct sim_lane *lane = &world->lanes.items[i];
        for (size_t j = 0; j < lane->events.count && !lane->was_held; j++) {
            const struct sim_event *event = lane->events.items[j];
            if (event->applied == 0 && !event->is_dead && !words_is_parked(world, lane)) {
                return false;
            }
            if ((event->is_dead && !event->may_skip) || (event->applied == 0 && !event->is_dead)) {
                break;
            }
        }
    }
    return true;
}

/* Where parked lanes were opened nothing stands behind them any more. */
static bool is_opened(const struct world *world)
{
    bool is_all = true;
    for (int p = 0; p < PARTITIONS; p++) {
        const struct source *source = &world->sources[p];
        for (size_t i = 0; i < source->events.count && is_all; i++) {
            const struct sim_event *event = &source->events.items[i];
            is_all = (event->applied > 0 || event->is_dead) && !event->is_asked &&
                     !check_is_aside(world, p, event->offset);
        }
    }
    return is_all;
}

static bool is_all_done(const struct world *world)
{
    return is_settled(world, true);
}

bool sim_run(struct world *world, uint64_t seed, bool is_loud)
{
    world_begin(world, seed, is_loud);
    until(world, is_published, "all is published");
    world->is_calm = true;
    for (int m = 0; m < MEMBERS; m++) {
        if (!world->members[m].is_alive) {
            sim_begin(world, m);
        }
    }
    if (world->tries_alone) {
        until(world, is_harmless, "what stands behind no failing event is done");
    }
    if (world->fails_alone) {
        until(world, is_given_up, "what fails with nobody beside it is given up");
    }
    world->is_mended = true;
    sim_say(world, "all is mended");
    if (!world->has_limits) {
        until(world, is_done_or_dead, "every event is done, dead or set aside");
        check_end(world, false);
    }
    sim_later(world, 0, OP_WORDS_ALL, -1);
    if (world->skips_all) {
        until(world, is_opened, "parked lanes are opened by skipping");
    }
    sim_later(world, 0, OP_REDRIVE_ALL, -1);
    until(world, is_all_done, "every event is done");
    check_end(world, true);
    world_end(world);
    return !world->has_failed;
}
