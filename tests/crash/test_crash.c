#include "base/mem.h"
#include "churn.h"
#include "tear.h"
#include "world.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/*
 * test_crash SERVER SCENARIO WITNESS: one scenario against the real server. CRASH_SEED replays the
 * moments of the kills, as far as a machine repeats itself; CRASH_ROUNDS changes how many there
 * are. The data is in $TMPDIR and kept when the test fails.
 */
struct scenario {
    const char *name;
    int rounds;
    int producers; /* 0: no load on events */
    bool churns;
    int startup_kills; /* kills before the start is done, after each kill under load */
    bool loses_tail;
    bool stops_cleanly; /* SIGTERM, not SIGKILL */
    int64_t shortest_ms;
    int64_t longest_ms;
};

static const struct scenario scenarios[] = {
    {.name = "load", .rounds = 30, .producers = 4, .shortest_ms = 20, .longest_ms = 600},
    {.name = "startup",
     .rounds = 10,
     .producers = 2,
     .startup_kills = 2,
     .shortest_ms = 50,
     .longest_ms = 300},
    {.name = "tails",
     .rounds = 40,
     .producers = 2,
     .loses_tail = true,
     .shortest_ms = 20,
     .longest_ms = 300},
    {.name = "topics",
     .rounds = 20,
     .churns = true,
     .startup_kills = 1,
     .shortest_ms = 5,
     .longest_ms = 200},
    {.name = "names",
     .rounds = 30,
     .churns = true,
     .loses_tail = true,
     .startup_kills = 1,
     .shortest_ms = 5,
     .longest_ms = 200},
    {.name = "stop",
     .rounds = 5,
     .producers = 4,
     .churns = true,
     .stops_cleanly = true,
     .shortest_ms = 50,
     .longest_ms = 400},
};

/* Small segments and a busy upkeep, so that kills hit rolls, snapshots and checkpoints. */
static const char *const settings[] = {"log.segment.bytes=262144",
                                       "log.retention.check.interval.ms=100",
                                       "auto.create.topics.enable=false", NULL};

static void sleep_ms(int64_t ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t between(struct world *world, int64_t lowest, int64_t highest)
{
    return lowest + (int64_t)random_below(&world->random, (uint64_t)(highest - lowest + 1));
}

static struct client connect_or_fail(struct world *world)
{
    struct client client = {.fd = -1};
    if (!client_connect(&client, world->server.port)) {
        crash_fail("cannot connect: %s", strerror(errno));
    }
    return client;
}

static void check_commits(struct world *world, struct client *client)
{
    for (int32_t i = 0; i < PARTITIONS; i++) {
        int64_t offset;
        if (!client_committed(client, LOAD_GROUP, LOAD_TOPIC, i, &offset)) {
            crash_fail("the connection of the check broke");
        }
        int64_t acked = world->commits_acked[i];
        if (offset < (acked > 0 ? acked : -1) || offset > world->commits_sent[i]) {
            crash_fail("partition %d: offset %" PRId64 " is committed; %" PRId64
                       " was acknowledged, %" PRId64 " sent",
                       i, offset, acked, world->commits_sent[i]);
        }
    }
}

static void check_world(struct world *world, const struct scenario *scenario, struct churn *churn)
{
    struct client client = connect_or_fail(world);
    if (scenario->producers > 0) {
        readers_catch_up(world, &client, world->readers);
        check_commits(world, &client);
    }
    if (churn != NULL) {
        churn_check(churn, &client);
    }
    client_deinit(&client);
}

static void check_start_was_clean(const struct server_child *server)
{
    char *log = server_log(server);
    if (strstr(log, "clean=yes scanned_bytes=0 truncated_bytes=0 damaged_batches=0") == NULL) {
        crash_fail("the start after a clean stop was not clean:\n%s", log);
    }
    free(log);
}

static void check_cut_was_told(const struct server_child *server, int torn)
{
    char *log = server_log(server);
    if (torn > 0 && strstr(log, "cut off a tail") == NULL) {
        crash_fail("%d logs ended within a batch, but no line tells of a cut:\n%s", torn, log);
    }
    free(log);
}

static int lose_tails(struct world *world)
{
    char *data = mem_sprintf("%s/data", world->server.dir);
    char *witness = mem_sprintf("%s/witness", world->server.dir);
    struct tear tear = {
        .random.state = random_next(&world->random), .data_dir = data, .witness_path = witness};
    world->names_undone += tear_names(&tear, random_below(&world->random, 2) == 0);
    int torn = tear_tails(&tear);
    world->torn_bytes += tear.torn_bytes;
    free(witness);
    free(data);
    return torn;
}

static void restart(struct world *world, const struct scenario *scenario)
{
    int torn = scenario->loses_tail ? lose_tails(world) : 0;
    for (int i = 0; i < scenario->startup_kills; i++) {
        server_spawn(&world->server);
        sleep_ms(between(world, 0, 40));
        server_kill(&world->server);
    }
    server_spawn(&world->server);
    server_wait_ready(&world->server);
    if (scenario->stops_cleanly) {
        check_start_was_clean(&world->server);
    } else if (scenario->loses_tail && !scenario->churns) {
        check_cut_was_told(&world->server, torn);
    }
}

static void prepare(struct world *world, const struct scenario *scenario)
{
    server_spawn(&world->server);
    server_wait_ready(&world->server);
    struct client client = connect_or_fail(world);
    struct topic_plan plan = {.name = LOAD_TOPIC, .partitions = PARTITIONS};
    int16_t code = client_create_topic(&client, &plan);
    if (code != 0) {
        crash_fail("creating the topic answered error %d", code);
    }
    client_deinit(&client);
    (void)scenario;
}

static void finish(struct world *world, const struct scenario *scenario, struct churn *churn)
{
    gate_finish(world);
    check_world(world, scenario, churn);
    struct reader fresh[PARTITIONS] = {0};
    struct client client = connect_or_fail(world);
    int64_t events = 0;
    if (scenario->producers > 0) {
        readers_catch_up(world, &client, fresh);
        readers_check_complete(world, fresh);
    }
    for (int i = 0; i < PARTITIONS; i++) {
        events += fresh[i].next_offset;
    }
    client_deinit(&client);
    int64_t created = 0;
    int64_t deleted = 0;
    if (churn != NULL) {
        churn_counts(churn, &created, &deleted);
    }
    server_stop(&world->server);
    printf("%s: %u kills; %" PRId64 " events, each once and in order; %" PRId64 " commits; %" PRId64
           " topics created, %" PRId64 " deleted; %" PRId64 " unsynced bytes torn, %" PRId64
           " unsynced names undone\n",
           scenario->name, world->server.kills, events,
           world->commits_acked[0] + world->commits_acked[1] + world->commits_acked[2], created,
           deleted, world->torn_bytes, world->names_undone);
    if ((scenario->loses_tail && world->names_undone == 0) ||
        (scenario->loses_tail && scenario->producers > 0 && world->torn_bytes == 0) ||
        (scenario->producers > 0 && (events == 0 || world->commits_acked[0] == 0)) ||
        (churn != NULL && (created == 0 || deleted == 0))) {
        crash_fail("there was no load to speak of");
    }
}

static void run_scenario(struct world *world, const struct scenario *scenario, int rounds)
{
    struct churn *churn = NULL;
    prepare(world, scenario);
    if (scenario->producers > 0) {
        load_start(world);
    }
    if (scenario->churns) {
        churn = churn_start(world);
    }
    for (int i = 0; i < rounds; i++) {
        gate_open(world);
        sleep_ms(between(world, scenario->shortest_ms, scenario->longest_ms));
        if (scenario->stops_cleanly) {
            server_stop(&world->server);
        } else {
            server_kill(&world->server);
        }
        gate_close(world);
        restart(world, scenario);
        check_world(world, scenario, churn);
    }
    gate_open(world);
    finish(world, scenario, churn);
    free(churn);
}

static void remove_dir(const char *dir)
{
    char *command = mem_sprintf("rm -rf '%s'", dir);
    if (system(command) != 0) {
        printf("could not remove %s\n", dir);
    }
    free(command);
}

static void world_free(struct world *world)
{
    for (int i = 0; i < PARTITIONS * MOST_PRODUCERS; i++) {
        free(world->streams[i / MOST_PRODUCERS][i % MOST_PRODUCERS].batches);
    }
    free(world->server.dir);
    free(world);
}

static const struct scenario *find_scenario(const char *name)
{
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
        if (strcmp(scenarios[i].name, name) == 0) {
            return &scenarios[i];
        }
    }
    fprintf(stderr, "no scenario %s\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: %s SERVER SCENARIO SYNC_WITNESS\n", argv[0]);
        return 2;
    }
    const struct scenario *scenario = find_scenario(argv[2]);
    const char *seed_text = getenv("CRASH_SEED");
    const char *rounds_text = getenv("CRASH_ROUNDS");
    const char *tmp = getenv("TMPDIR");
    uint64_t seed;
    random_secure(&seed, sizeof seed);
    seed = seed_text != NULL ? strtoull(seed_text, NULL, 10) : seed % 1000000000;
    struct world *world = mem_new(struct world);
    world->server.program = argv[1];
    world->server.settings = settings;
    world->server.preload = scenario->loses_tail ? argv[3] : NULL;
    world->server.dir = mem_sprintf("%s/tidings-crash-XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(world->server.dir) == NULL) {
        crash_fail("cannot make %s: %s", world->server.dir, strerror(errno));
    }
    world->random.state = seed;
    world->producers = scenario->producers;
    world->loses_tail = scenario->loses_tail;
    world->stops_cleanly = scenario->stops_cleanly;
    pthread_mutex_init(&world->ledger_lock, NULL);
    pthread_mutex_init(&world->gate_lock, NULL);
    pthread_cond_init(&world->gate_moved, NULL);
    crash_set_seed(seed, scenario->name);
    printf("%s: seed %" PRIu64 ", data in %s\n", scenario->name, seed, world->server.dir);
    fflush(stdout);
    int64_t began_ms = now_ms();
    run_scenario(world, scenario, rounds_text != NULL ? atoi(rounds_text) : scenario->rounds);
    printf("%s: took %.1f s\n", scenario->name, (double)(now_ms() - began_ms) / 1000);
    remove_dir(world->server.dir);
    world_free(world);
    return 0;
}
