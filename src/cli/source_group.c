#include "cli/source.h"

#include "base/mem.h"
#include "cli/cli.h"

#include <stdlib.h>

/* What the group committed earlier, into list[i].offset; below zero where nothing was. */
static int load_committed(struct source *source, rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_resp_err_t err =
        rd_kafka_committed(source->client->rk, list, client_timeout_ms(source->client));
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return bus_fail(source->client, err, NULL, "look up the offsets of group '%s'",
                        source->options->group);
    }
    return EXIT_OK;
}

/* Sets where to begin: at what the group committed, else at --from. */
static int place(struct source *source, rd_kafka_topic_partition_list_t *list,
                 struct admin_bounds *bounds)
{
    rd_kafka_topic_partition_list_t *fresh = rd_kafka_topic_partition_list_copy(list);
    int code = offsets_bounds(source->client, list, bounds);
    if (code == EXIT_OK) {
        code = load_committed(source, list);
    }
    if (code == EXIT_OK) {
        code = offsets_resolve(source->client, fresh, &source->options->from, bounds);
    }
    for (int i = 0; code == EXIT_OK && i < list->cnt; i++) {
        if (list->elems[i].offset < 0) {
            list->elems[i].offset = fresh->elems[i].offset;
        }
    }
    rd_kafka_topic_partition_list_destroy(fresh);
    return code;
}

static void assign(struct source *source, rd_kafka_topic_partition_list_t *list)
{
    struct admin_bounds *bounds = mem_new_array(struct admin_bounds, (size_t)list->cnt + 1);
    source->failure = place(source, list, bounds);
    if (source->failure == EXIT_OK) {
        source_track(source, list, bounds);
        source->is_assigned = true;
        rd_kafka_assign(source->client->rk, list);
    } else {
        rd_kafka_assign(source->client->rk, NULL);
    }
    free(bounds);
}

void source_on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err,
                         rd_kafka_topic_partition_list_t *list, void *opaque)
{
    const struct client *client = opaque;
    struct source *source = client->context;
    if (err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        assign(source, list);
        return;
    }
    /* Commit before giving up the partitions, so that their next reader does not begin earlier. */
    if (err == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS && !rd_kafka_assignment_lost(rk)) {
        (void)rd_kafka_commit(rk, NULL, 0);
    }
    source_forget(source, list);
    rd_kafka_assign(rk, NULL);
}
