#include "sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * test-lanes [--seed N] [--count N] [--loud]: plays schedules N, N+1, ...; the first that breaks a
 * promise ends it with its seed, which --loud shows step by step.
 */
int main(int argc, char **argv)
{
    uint64_t seed = 1;
    uint64_t count = 1000;
    bool is_loud = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            seed = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--count") == 0 && i + 1 < argc) {
            count = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--loud") == 0) {
            is_loud = true;
        } else {
            fprintf(stderr, "usage: test-lanes [--seed N] [--count N] [--loud]\n");
            return 2;
        }
    }
    uint64_t effects = 0, dead = 0, asides = 0, crashes = 0, moves = 0, redrives = 0, words = 0;
    uint64_t transactions = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (uint64_t i = 0; i < count; i++) {
        struct world world;
        if (!sim_run(&world, seed + i, is_loud)) {
            printf("seed %" PRIu64 " at %d ms: %s\n", seed + i, (int)world.now_ms, world.failure);
            printf("again, step by step: test-lanes --seed %" PRIu64 " --count 1 --loud\n",
                   seed + i);
            return 1;
        }
        effects += world.effects;
        dead += world.dead;
        asides += world.asides;
        crashes += world.crashes;
        moves += world.moves;
        redrives += world.redrives;
        words += world.words;
        transactions += world.transactions;
    }
    printf("%" PRIu64 " schedules: %" PRIu64 " effects, %" PRIu64 " dead letters, %" PRIu64
           " set aside, %" PRIu64 " crashes, %" PRIu64 " moves, %" PRIu64 " redrives, %" PRIu64
           " words, %" PRIu64 " transactions\n",
           count, effects, dead, asides, crashes, moves, redrives, words, transactions);
    return 0;
}
