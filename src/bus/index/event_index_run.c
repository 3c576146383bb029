#include "bus/index/event_index_inside.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>

char *index_run_path(const struct event_index *index, uint64_t sequence)
{
    return mem_sprintf("%s/%016" PRIx64 ".run", index->config.dir, sequence);
}

void indexed_run_release(struct indexed_run *run)
{
    if (--run->references == 0) {
        index_run_close(run->run);
        free(run);
    }
}

void index_remove_run(struct event_index *index, uint64_t sequence)
{
    char *path = index_run_path(index, sequence);
    (void)!file_unlink(index->config.files, path, NULL);
    free(path);
}

enum err indexed_run_open(struct event_index *index, uint64_t sequence, struct indexed_run **out,
                          struct reason *reason)
{
    struct index_run *run;
    char *path = index_run_path(index, sequence);
    enum err err = index_run_open(index->config.files, path, &run, reason);
    free(path);
    if (err != ERR_NONE) {
        return err;
    }
    *out = mem_new(struct indexed_run);
    **out = (struct indexed_run){.run = run, .sequence = sequence, .references = 1};
    return ERR_NONE;
}

void index_forget_memory(struct event_index *index)
{
    vec_deinit(&index->memory);
    index_places_deinit(&index->places);
}
