#include "cli/offsets.h"

#include "cli/cli.h"

#include <assert.h>

/* Asks for `what` of every partition: a time in ms, or Kafka's -1 (end) and -2 (start). */
static int ask(struct client *client, rd_kafka_topic_partition_list_t *list, int64_t what)
{
    for (int i = 0; i < list->cnt; i++) {
        list->elems[i].offset = what;
    }
    if (list->cnt == 0) {
        return EXIT_OK;
    }
    rd_kafka_resp_err_t err =
        rd_kafka_offsets_for_times(client->rk, list, client_timeout_ms(client));
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return client_fail(client, err, NULL, "look up the offsets of topic %s",
                           list->elems[0].topic);
    }
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &list->elems[i];
        if (at->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            return client_fail(client, at->err, NULL, "look up the offsets of %s partition %d",
                               at->topic, (int)at->partition);
        }
    }
    return EXIT_OK;
}

int offsets_bounds(struct client *client, const rd_kafka_topic_partition_list_t *list,
                   struct offset_bounds *bounds)
{
    rd_kafka_topic_partition_list_t *asked = rd_kafka_topic_partition_list_copy(list);
    int code = ask(client, asked, RD_KAFKA_OFFSET_BEGINNING);
    for (int i = 0; code == EXIT_OK && i < asked->cnt; i++) {
        bounds[i].start = asked->elems[i].offset;
    }
    if (code == EXIT_OK) {
        code = ask(client, asked, RD_KAFKA_OFFSET_END);
    }
    for (int i = 0; code == EXIT_OK && i < asked->cnt; i++) {
        bounds[i].end = asked->elems[i].offset;
        if (bounds[i].end < bounds[i].start) {
            bounds[i].end = bounds[i].start; /* old events went away between the two questions */
        }
    }
    rd_kafka_topic_partition_list_destroy(asked);
    return code;
}

static int64_t within(int64_t offset, struct offset_bounds bounds)
{
    if (offset < bounds.start) {
        return bounds.start;
    }
    return offset > bounds.end ? bounds.end : offset;
}

int64_t offsets_place(const struct position *position, struct offset_bounds bounds)
{
    switch (position->kind) {
    case POSITION_START:
        return bounds.start;
    case POSITION_END:
        return bounds.end;
    case POSITION_OFFSET:
        return within(position->value, bounds);
    case POSITION_LAST:
        /* Compared, not subtracted: the count may be anything. */
        return position->value > bounds.end - bounds.start ? bounds.start
                                                           : bounds.end - position->value;
    case POSITION_TIME:
        break;
    }
    assert(!"a time is resolved by the bus");
    return bounds.end;
}

int offsets_resolve(struct client *client, rd_kafka_topic_partition_list_t *list,
                    const struct position *position, const struct offset_bounds *bounds)
{
    if (position->kind != POSITION_TIME) {
        for (int i = 0; i < list->cnt; i++) {
            list->elems[i].offset = offsets_place(position, bounds[i]);
        }
        return EXIT_OK;
    }
    int code = ask(client, list, position->value);
    for (int i = 0; code == EXIT_OK && i < list->cnt; i++) {
        int64_t found = list->elems[i].offset;
        list->elems[i].offset = found < 0 ? bounds[i].end : within(found, bounds[i]);
    }
    return code;
}
