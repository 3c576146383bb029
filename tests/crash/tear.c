#include "base/file.h"
#include "base/mem.h"
#include "batch/batch.h"
#include "topic/checkpoint.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The segments of a log by base offset. */
struct segments {
    int64_t bases[4096];
    int count;
};

static enum err note_segment(void *context, const char *name)
{
    struct segments *segments = context;
    size_t size = strlen(name);
    if (size == 24 && strcmp(name + 20, ".log") == 0 && segments->count < 4096) {
        segments->bases[segments->count++] = atoll(name);
    }
    return ERR_NONE;
}

static int compare_bases(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/* What the checkpoint says is on disk: such bytes a power failure does not take. */
static int64_t checkpoint_end(struct world *world, int32_t partition)
{
    struct checkpoint checkpoint;
    int64_t end = 0;
    char *path = mem_sprintf("%s/data/checkpoint", world->server.dir);
    checkpoint_load(&checkpoint, file_ops_system(), path);
    for (size_t i = 0; i < checkpoint.count; i++) {
        /* Of whichever topic: too careful for some, never too bold. */
        if (checkpoint.entries[i].partition == partition &&
            checkpoint.entries[i].state.end_offset > end) {
            end = checkpoint.entries[i].state.end_offset;
        }
    }
    checkpoint_deinit(&checkpoint);
    free(path);
    return end;
}

/* Where the first batch at or above `floor` begins; *size is the end of the file. */
static int64_t find_position(const char *path, int64_t floor, int64_t *size)
{
    char *data;
    size_t bytes;
    struct reason reason;
    if (file_load(file_ops_system(), path, 1 << 30, &data, &bytes, &reason) != ERR_NONE) {
        crash_fail("%s", reason.text);
    }
    size_t at = 0;
    struct batch batch;
    while (batch_parse(slice_of(data + at, bytes - at), &batch, &reason) == ERR_NONE &&
           batch.base_offset < floor) {
        at += batch.bytes.size;
    }
    *size = (int64_t)bytes;
    free(data);
    return (int64_t)at;
}

static void write_garbage(struct world *world, int fd, int64_t at, int64_t size, bool zeros)
{
    uint8_t *bytes = mem_alloc((size_t)size + 1);
    for (int64_t i = 0; i < size; i++) {
        bytes[i] = zeros ? 0 : (uint8_t)random_next(&world->random);
    }
    if (pwrite(fd, bytes, (size_t)size, at) != size) {
        crash_fail("cannot tear: %s", strerror(errno));
    }
    free(bytes);
}

/* One of: cut short, the rest overwritten, bytes behind the end. True: the end is torn now. */
static bool tear_file(struct world *world, const char *path, int64_t floor, bool last)
{
    int64_t size;
    int64_t from = find_position(path, floor, &size);
    int64_t at = from + (int64_t)random_below(&world->random, (uint64_t)(size - from) + 1);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    bool torn = at < size;
    switch (fd < 0 ? 9 : last ? random_below(&world->random, 5) : 0) {
    case 0:
        if (ftruncate(fd, at) != 0) {
            crash_fail("cannot tear: %s", strerror(errno));
        }
        torn = false; /* perhaps between two batches */
        break;
    case 1:
        write_garbage(world, fd, at, size - at, false);
        break;
    case 2:
        write_garbage(world, fd, at, size - at, true);
        break;
    case 3:
        write_garbage(world, fd, size, (int64_t)random_below(&world->random, 5000) + 1, false);
        torn = true;
        break;
    case 4:
        torn = false;
        break;
    default:
        crash_fail("cannot open %s: %s", path, strerror(errno));
    }
    close(fd);
    return torn;
}

static bool tear_partition(struct world *world, int32_t partition)
{
    int64_t floor = world->acked_end[partition];
    int64_t seen = world->readers[partition].next_offset;
    int64_t kept = checkpoint_end(world, partition);
    floor = seen > floor ? seen : floor;
    floor = kept > floor ? kept : floor;
    char *dir = mem_sprintf("%s/data/topics/%s-%d", world->server.dir, LOAD_TOPIC, (int)partition);
    struct segments *segments = mem_new(struct segments);
    if (file_list_dir(dir, note_segment, segments, NULL) != ERR_NONE || segments->count == 0) {
        crash_fail("no segments in %s", dir);
    }
    qsort(segments->bases, (size_t)segments->count, sizeof(int64_t), compare_bases);
    /* The segment that holds the first byte nobody was promised, or the last one. */
    int last = segments->count - 1;
    int first = last;
    while (first > 0 && segments->bases[first] > floor) {
        first--;
    }
    int which = first + (int)random_below(&world->random, (uint64_t)(last - first) + 1);
    char *path = mem_sprintf("%s/%020" PRId64 ".log", dir, segments->bases[which]);
    bool torn = tear_file(world, path, floor, which == last);
    free(path);
    free(segments);
    free(dir);
    return torn;
}

int tear_tails(struct world *world)
{
    int torn = 0;
    for (int32_t i = 0; i < PARTITIONS; i++) {
        torn += tear_partition(world, i);
    }
    return torn;
}
