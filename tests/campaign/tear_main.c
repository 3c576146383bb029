#include "../crash/crash.h"
#include "../crash/tear.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* campaign-tear DATA WITNESS SEED: a power failure between two runs of the server. */
int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: campaign-tear DATA WITNESS SEED\n");
        return 2;
    }
    struct tear tear = {
        .data_dir = argv[1], .witness_path = argv[2], .random.state = strtoull(argv[3], NULL, 10)};
    crash_set_seed(tear.random.state, "tear");
    int torn = tear_tails(&tear);
    printf("%" PRId64 " %d\n", tear.torn_bytes, torn);
    return 0;
}
