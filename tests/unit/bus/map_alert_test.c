#include "../unit.h"

#include "base/random.h"
#include "bus/map/map_alert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Alerts of consumers against a truth: a world of services that come, leave, are killed and come
 * back, and of types that appear, on a clock that is moved second by second. The map is told what a
 * server would be told of it, and after each second the alerts that are open are compared with who
 * is there. The other alerts are in map_test.c.
 */
enum { TYPES = 8, GROUPS = 7, SECONDS = 900, WORLDS = 25, BEGAN_S = 1800000000 };

struct consumer {
    bool reads[TYPES];
    int session_s;
    bool is_born, is_up;
    int left_s;    /* since it is not up */
    int expires_s; /* when its members time out; 0: they do not, or have */
    bool has_members;
};

struct world {
    struct random random;
    struct map_facts facts;
    struct map_alerts *alerts;
    bool has_observer;
    struct consumer groups[GROUPS];
    int born_s[TYPES];
    int alone_s[TYPES];   /* since nobody reads it; -1: somebody does */
    char *open[2][TYPES]; /* service of the alert, or "" */
    int raised;
};

static int64_t ms(int s)
{
    return ((int64_t)BEGAN_S + s) * 1000;
}

static const char *name_of(char name[8], char kind, int number)
{
    snprintf(name, 8, "%c%d", kind, number);
    return name;
}

static bool chance(struct world *world, int of)
{
    return random_below(&world->random, (uint64_t)of) == 0;
}

/* --- what happens --- */

static void start(struct consumer *group)
{
    group->is_born = group->is_up = group->has_members = true;
    group->expires_s = 0;
}

/* The coordinator is told, or finds out when the session is over. */
static void stop(struct world *world, struct consumer *group, int s)
{
    bool is_killed = chance(world, 2);
    group->is_up = false;
    group->left_s = s;
    group->has_members = is_killed;
    group->expires_s = is_killed ? s + group->session_s : 0;
}

static void live(struct world *world, int s)
{
    for (int i = 0; i < GROUPS; i++) {
        struct consumer *group = &world->groups[i];
        if (!group->is_up && chance(world, group->is_born ? 25 : 150)) {
            start(group);
        } else if (group->is_up && chance(world, 40)) {
            stop(world, group, s);
        } else if (group->expires_s > 0 && s >= group->expires_s) {
            group->has_members = false;
            group->expires_s = 0;
        }
    }
    for (int i = 0; i < TYPES; i++) {
        if (world->born_s[i] < 0 && chance(world, 100)) {
            world->born_s[i] = s;
        }
    }
}

/* --- what the map is told --- */

static void tell_group(struct world *world, int number, int s)
{
    const struct consumer *group = &world->groups[number];
    char name[8], topic[8];
    struct map_fact_key key = {.kind = MAP_JOINED};
    key.names[MAP_GROUP] = key.names[MAP_CLIENT] = slice_str(name_of(name, 'g', number));
    if (world->has_observer) {
        struct map_fact *joined = map_facts_reach(&world->facts, &key, ms(s));
        joined->session_timeout_ms = group->session_s * 1000;
        joined->connections = group->is_up;
        joined->left_ms = group->is_up ? 0 : ms(group->left_s);
    }
    key.kind = MAP_CONSUMES;
    key.names[MAP_CLIENT] = (struct slice){0};
    for (int i = 0; i < TYPES; i++) {
        if (!group->reads[i]) {
            continue;
        }
        key.topic = slice_str(name_of(topic, 't', i));
        struct map_fact *reads = map_facts_reach(&world->facts, &key, ms(s));
        reads->first_ms = reads->first_ms > 0 ? reads->first_ms : ms(s);
        reads->left_by_session_ms = group->has_members   ? 0
                                    : reads->members > 0 ? ms(s)
                                                         : reads->left_by_session_ms;
        reads->members = group->has_members;
    }
}

static void tell(struct world *world, int s)
{
    for (int i = 0; i < GROUPS; i++) {
        if (world->groups[i].is_born) {
            tell_group(world, i, s);
        }
    }
    for (int i = 0; i < TYPES; i++) {
        char type[8];
        struct slice name = slice_str(name_of(type, 't', i));
        struct map_fact_key carries = {.kind = MAP_CARRIES, .topic = name, .type = name};
        if (world->born_s[i] >= 0 && (s - world->born_s[i]) % 5 == 0) {
            map_fact_add(map_facts_reach(&world->facts, &carries, ms(s)), 1, 1, ms(s));
        }
    }
    map_facts_tick(&world->facts, ms(s), 1000);
}

static void note(void *context, const struct map_alert *alert)
{
    struct world *world = context;
    int type = atoi(alert->type + 1);
    assert_true(alert->kind == MAP_ALERT_LAST_CONSUMER || alert->kind == MAP_ALERT_NOBODY_CONSUMES);
    char **open = &world->open[alert->kind == MAP_ALERT_NOBODY_CONSUMES][type];
    assert_true((*open == NULL) == (alert->over_ms == 0)); /* begins once, ends once */
    free(*open);
    *open = alert->over_ms == 0 ? mem_strdup(alert->service != NULL ? alert->service : "") : NULL;
    world->raised += alert->over_ms == 0;
}

static void look(struct world *world, int s)
{
    struct map_view view = {.now_ms = ms(s)};
    struct map_graph graph;
    map_graph_build(&world->facts, &view, &graph);
    map_alerts_look(world->alerts, &graph, note, world);
    map_graph_deinit(&graph);
}

/* --- the truth --- */

/* As far as the map can know: a killed one is there until its session is over, where connections
 * are not seen. */
static bool is_there(const struct world *world, const struct consumer *group)
{
    return world->has_observer ? group->is_up : group->has_members;
}

static void check_type(struct world *world, int type, int s)
{
    int session_s = 0, last_s = -1;
    bool was_ever = false, is_read = false;
    for (int i = 0; i < GROUPS; i++) {
        const struct consumer *group = &world->groups[i];
        if (group->is_born && group->reads[type]) {
            was_ever = true;
            is_read = is_read || is_there(world, group);
            session_s = group->session_s > session_s ? group->session_s : session_s;
            last_s = group->left_s > last_s ? group->left_s : last_s;
        }
    }
    session_s = world->has_observer ? session_s : MAP_SESSION_MS / 1000;
    bool is_seen = world->born_s[type] >= 0 || was_ever;
    int *alone_s = &world->alone_s[type];
    *alone_s = is_read || !is_seen ? -1 : *alone_s < 0 ? s : *alone_s;
    const char *left = world->open[0][type], *never = world->open[1][type];
    int for_s = *alone_s < 0 ? -1 : s - *alone_s;
    if (left != NULL && (!was_ever || for_s < session_s)) {
        fail_msg("t%d at %d: false alarm, '%s' left; nobody for %d s", type, s, left, for_s);
    }
    if (left == NULL && was_ever && for_s >= session_s + 2) {
        fail_msg("t%d at %d: nobody reads it any more for %d s, and none is told", type, s, for_s);
    }
    if (left != NULL && world->has_observer && world->groups[atoi(left + 1)].left_s != last_s) {
        fail_msg("t%d at %d: '%s' is not who left last", type, s, left);
    }
    if (never != NULL && (was_ever || for_s < MAP_UNREAD_MS / 1000)) {
        fail_msg("t%d at %d: false alarm, nobody reads it", type, s);
    }
    if (never == NULL && is_seen && !was_ever && for_s >= MAP_UNREAD_MS / 1000 + 2) {
        fail_msg("t%d at %d: nobody ever read it, and none is told", type, s);
    }
}

static int play(uint64_t seed, bool has_observer)
{
    static const int sessions[] = {6, 10, 30};
    struct world world = {
        .random = {seed}, .alerts = map_alerts_new(), .has_observer = has_observer};
    map_facts_init(&world.facts, ms(0));
    world.facts.has_observer = has_observer;
    for (int i = 0; i < TYPES; i++) {
        world.born_s[i] = world.alone_s[i] = -1;
    }
    for (int i = 0; i < GROUPS; i++) {
        world.groups[i].session_s = sessions[random_below(&world.random, 3)];
        for (int reads = 0; reads < 2; reads++) {
            world.groups[i].reads[random_below(&world.random, TYPES - 1)] =
                true; /* none the last */
        }
    }
    for (int s = 1; s < SECONDS; s++) {
        live(&world, s);
        tell(&world, s);
        look(&world, s);
        for (int i = 0; i < TYPES; i++) {
            check_type(&world, i, s);
        }
    }
    for (int i = 0; i < TYPES; i++) {
        free(world.open[0][i]);
        free(world.open[1][i]);
    }
    map_alerts_free(world.alerts);
    map_facts_deinit(&world.facts);
    return world.raised;
}

static void test_alerts_of_consumers_are_true_and_none_is_missing(void **state)
{
    int raised = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= WORLDS; seed++) {
        raised += play(seed, true);
    }
    assert_true(raised > 10 * WORLDS); /* the worlds are not quiet ones */
}

static void test_where_only_sessions_tell_they_are_as_true_and_later(void **state)
{
    int raised = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= WORLDS; seed++) {
        raised += play(seed, false);
    }
    assert_true(raised > WORLDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alerts_of_consumers_are_true_and_none_is_missing),
        cmocka_unit_test(test_where_only_sessions_tell_they_are_as_true_and_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
