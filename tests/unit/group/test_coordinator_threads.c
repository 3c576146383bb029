#include "coordinator_bench.h"

#include "base/random.h"

#include <stdio.h>

/* The coordinator under many threads. */

enum { CLIENTS = 4, ROUNDS = 3000 };

struct client {
    struct bench *bench;
    uint64_t seed;
};

static void *run_client(void *argument)
{
    struct client *client = argument;
    struct bench *bench = client->bench;
    struct random random = {client->seed};
    static const char *const names[] = {"a", "b", "c"};
    char ids[3][320] = {"", "", ""};
    int32_t generations[3] = {0};
    uint64_t joining[3] = {0};
    for (int i = 0; i < ROUNDS; i++) {
        size_t g = random_below(&random, 3);
        const struct group_reply *joined = joining[g] ? reply_to(bench, joining[g]) : NULL;
        if (joined != NULL) {
            joining[g] = 0;
            snprintf(ids[g], sizeof ids[g], "%.*s",
                     SLICE_ARGS(joined->err == ERR_NONE ? joined->join.member_id : slice_str("")));
            generations[g] = joined->join.generation;
        }
        struct group_leaving leaving = {.member_id = slice_str(ids[g])};
        uint64_t n;
        struct completion who;
        switch (random_below(&random, 16)) {
        case 0:
        case 1:
        case 2:
        case 3:
            joining[g] = join(bench, names[g], ids[g]);
            break;
        case 4:
        case 5:
        case 6:
        case 7:
            sync_group(bench, names[g], ids[g], generations[g]);
            break;
        case 8:
            assert_int_equal(
                group_coordinator_leave(bench->coordinator, slice_str(names[g]), &leaving, 1),
                ERR_NONE);
            break;
        case 9:
            who = waiter(bench, &n);
            group_coordinator_delete(bench->coordinator, &who,
                                     &(struct group_delete_result){slice_str(names[g]), ERR_NONE},
                                     1, lend(bench, n));
            break;
        case 10:
        case 11:
            commit(bench, names[g], ids[g], generations[g], "t", i);
            break;
        case 12:
            commit(bench, names[g], "", -1, "u", i);
            break;
        case 13:
            fetch(bench, names[g], "t");
            break;
        case 14:
            group_coordinator_topic_deleted(bench->coordinator, slice_str("u"));
            break;
        default:
            if (beat(bench, names[g], ids[g], generations[g]) == ERR_UNKNOWN_MEMBER) {
                ids[g][0] = '\0';
            }
        }
    }
    return NULL;
}

static void *run_disk_and_time(void *argument)
{
    struct bench *bench = argument;
    while (bench->running) {
        flush_one(bench);
        bench->now_ms += 5;
        group_coordinator_tick(bench->coordinator, bench->now_ms);
    }
    return NULL;
}

static void many_threads_get_all_their_answers(void **state)
{
    struct bench *bench = serving();
    bench->slow_disk = true;
    bench->running = true;
    pthread_t threads[CLIENTS], disk;
    struct client clients[CLIENTS];
    pthread_create(&disk, NULL, run_disk_and_time, bench);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){.bench = bench, .seed = (uint64_t)i + 1};
        pthread_create(&threads[i], NULL, run_client, &clients[i]);
    }
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(threads[i], NULL);
    }
    bench->running = false;
    pthread_join(disk, NULL);
    bench_free(bench); /* checks that every request has its one reply */
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_threads_get_all_their_answers),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
