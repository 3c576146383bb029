/*
 * Runs a fuzz target without libFuzzer: every seed, every seed cut at every byte, and a fixed
 * number of seeded mutations of each.
 *
 *   driver CORPUS [MUTATIONS [RANDOM-SEED]]
 */
#include "base/mem.h"
#include "fuzz.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The input on trial, for the handler below: a signal handler gets no parameter of its own. */
static struct slice on_trial;

struct run {
    uint64_t state;
    long mutations;
    long tried;
};

static void show_input(int number)
{
    static const char digits[] = "0123456789abcdef";
    ssize_t ignored = write(STDERR_FILENO, "input: ", 7);
    for (size_t i = 0; i < on_trial.size; i++) {
        char text[2] = {digits[on_trial.data[i] >> 4], digits[on_trial.data[i] & 15]};
        ignored = write(STDERR_FILENO, text, sizeof text);
    }
    ignored = write(STDERR_FILENO, "\n", 1);
    (void)ignored;
    signal(number, SIG_DFL);
    raise(number);
}

static uint32_t below(struct run *run, size_t limit)
{
    run->state = run->state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)((run->state >> 33) % limit);
}

static void try_input(struct run *run, const uint8_t *data, size_t size)
{
    /* Exactly as much memory as there are bytes, so that the sanitizer sees one too many read. */
    uint8_t *copy = mem_dup(data, size);
    on_trial = slice_of(copy, size);
    LLVMFuzzerTestOneInput(copy, size);
    run->tried++;
    free(copy);
}

/* Changes a few bytes, mostly to what lengths and counts trip over; returns the new size. */
static size_t mutate(struct run *run, uint8_t *data, size_t size)
{
    static const uint8_t edges[] = {0x00, 0x01, 0x7f, 0x80, 0xff, 0xfe, 0x02, 0x40};
    for (uint32_t changes = 1 + below(run, 4); changes > 0 && size > 0; changes--) {
        uint32_t at = below(run, size);
        switch (below(run, 5)) {
        case 0:
            data[at] = (uint8_t)below(run, 256);
            break;
        case 1:
            data[at] ^= (uint8_t)(1u << below(run, 8));
            break;
        case 2:
            memset(data + at, edges[below(run, sizeof edges)], size - at < 4 ? size - at : 4);
            break;
        case 3: /* take a byte out */
            memmove(data + at, data + at + 1, size - at - 1);
            size--;
            break;
        default:
            data[at] = edges[below(run, sizeof edges)];
            break;
        }
    }
    return size;
}

static void try_seed(void *context, struct slice seed)
{
    struct run *run = context;
    for (size_t size = 0; size <= seed.size; size++) {
        try_input(run, seed.data, size);
    }
    uint8_t *data = mem_alloc(seed.size);
    for (long i = 0; i < run->mutations; i++) {
        memcpy(data, seed.data, seed.size);
        try_input(run, data, mutate(run, data, seed.size));
    }
    free(data);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s CORPUS [MUTATIONS [RANDOM-SEED]]\n", argv[0]);
        return 2;
    }
    struct run run = {.mutations = argc > 2 ? atol(argv[2]) : 100,
                      .state = argc > 3 ? strtoull(argv[3], NULL, 0) : 1};
    signal(SIGABRT, show_input);
    signal(SIGSEGV, show_input);
    fuzz_seeds(argv[1], try_seed, &run);
    printf("%ld inputs\n", run.tried);
    return 0;
}
