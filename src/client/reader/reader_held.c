#include "client/reader/reader_inside.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is held: partitions, each under an epoch, and what of them is done. */

/* The bus bounds topic names (249 bytes). */
enum { NAME_SIZE = 288 };

struct reader_partition *reader_find(struct reader *reader, const char *topic, int32_t number)
{
    struct reader_partition *last = reader->last;
    if (last != NULL && last->number == number && strcmp(last->topic, topic) == 0) {
        return last;
    }
    char name[NAME_SIZE];
    snprintf(name, sizeof name, "%s/%d", topic, (int)number);
    struct reader_partition *found = NULL;
    HASH_FIND_STR(reader->partitions, name, found);
    reader->last = found;
    return found;
}

struct reader_partition *reader_hold(struct reader *reader, const char *topic, int32_t number)
{
    struct reader_partition *partition = mem_new(struct reader_partition);
    partition->name = mem_sprintf("%.249s/%d", topic, (int)number);
    partition->topic = mem_strdup(topic);
    partition->number = number;
    partition->epoch = ++reader->last_epoch;
    partition->mark = -1;
    partition->committed = -1;
    partition->stored = -1;
    HASH_ADD_KEYPTR(hh, reader->partitions, partition->name, strlen(partition->name), partition);
    return partition;
}

void reader_drop(struct reader *reader, struct reader_partition *partition)
{
    reader->misplaced_count -= partition->place_at_ms != 0;
    reader->last = NULL;
    HASH_DEL(reader->partitions, partition);
    free(partition->name);
    free(partition->topic);
    free(partition->metadata);
    free(partition);
}

int64_t reader_epoch(struct reader *reader, const char *topic, int32_t number)
{
    const struct reader_partition *partition = reader_find(reader, topic, number);
    return partition != NULL ? partition->epoch : 0;
}

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool reader_mark(struct reader *reader, const char *topic, int32_t number, int64_t epoch,
                 int64_t offset, const char *metadata)
{
    struct reader_partition *partition = reader_find(reader, topic, number);
    if (partition == NULL || partition->epoch != epoch) {
        return false;
    }
    partition->mark = offset;
    partition->marks++;
    reader->has_marks = true;
    if (!same_text(partition->metadata, metadata)) {
        free(partition->metadata);
        partition->metadata = mem_strdup(metadata);
        partition->committed = -1;
    }
    return true;
}

void reader_misplaced(struct reader *reader, struct reader_partition *partition, int64_t offset)
{
    reader->misplaced_count += partition->place_at_ms == 0;
    partition->lost_at = offset;
    partition->place_at_ms = clock_mono_ms(clock_system());
}

void reader_notice(struct reader *reader, const struct client_error *what)
{
    const struct connection *connection = &reader->connection;
    if (connection->notice != NULL) {
        connection->notice(connection->notice_context, what);
    }
}
