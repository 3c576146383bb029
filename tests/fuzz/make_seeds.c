/* Writes the seeds of a target into a directory, where libFuzzer takes them up. */
#include "base/mem.h"
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>

struct place {
    const char *directory;
    int count;
};

static void write_seed(void *context, struct slice seed)
{
    struct place *place = context;
    char *path = mem_sprintf("%s/seed-%05d", place->directory, place->count++);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(seed.data, 1, seed.size, file) != seed.size || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
    free(path);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: %s CORPUS DIRECTORY\n", argv[0]);
        return 2;
    }
    struct place place = {.directory = argv[2]};
    fuzz_seeds(argv[1], write_seed, &place);
    return 0;
}
