#include "cli/offsets.h"

#include "cli/cli.h"

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
        return bus_fail(client, err, NULL, "look up the offsets of topic %s", list->elems[0].topic);
    }
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &list->elems[i];
        if (at->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            return bus_fail(client, at->err, NULL, "look up the offsets of %s partition %d",
                            at->topic, (int)at->partition);
        }
    }
    return EXIT_OK;
}

int offsets_bounds(struct client *client, const rd_kafka_topic_partition_list_t *list,
                   struct admin_bounds *bounds)
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

int offsets_resolve(struct client *client, rd_kafka_topic_partition_list_t *list,
                    const struct position *position, const struct admin_bounds *bounds)
{
    if (position->kind != POSITION_TIME) {
        for (int i = 0; i < list->cnt; i++) {
            list->elems[i].offset = position_offset(position, bounds[i]);
        }
        return EXIT_OK;
    }
    int code = ask(client, list, position->value);
    for (int i = 0; code == EXIT_OK && i < list->cnt; i++) {
        int64_t found = list->elems[i].offset;
        list->elems[i].offset =
            found < 0 ? bounds[i].end
                      : position_offset(&(struct position){POSITION_OFFSET, found}, bounds[i]);
    }
    return code;
}
