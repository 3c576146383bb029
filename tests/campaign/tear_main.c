#include "../crash/crash.h"
#include "../crash/tear.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * campaign-tear DATA WITNESS SEED ordered|unordered: a power failure between two runs of the
 * server, on a file system that keeps the order of changes to names, or on any. Prints the number
 * of bytes taken and of names changed back.
 */
int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: campaign-tear DATA WITNESS SEED ordered|unordered\n");
        return 2;
    }
    struct tear tear = {
        .data_dir = argv[1], .witness_path = argv[2], .random.state = strtoull(argv[3], NULL, 10)};
    crash_set_seed(tear.random.state, "tear");
    int undone = tear_names(&tear, strcmp(argv[4], "ordered") == 0);
    (void)tear_tails(&tear);
    printf("%" PRId64 " %d\n", tear.torn_bytes, undone);
    return 0;
}
