#include "base/buf.h"
#include "base/clock.h"
#include "service.h"

/* Partitions come and go, and progress is written down before they do. */

enum { REVOKE_WAIT_MS = 5000 }; /* for acknowledgements, when partitions are taken away */

/* Adds where the partition stands, if that is news. */
static void commit_add(struct tidings *service, struct partition *partition,
                       rd_kafka_topic_partition_list_t *offsets)
{
    if (partition->rewind_offset >= 0) {
        return; /* committed up to there already */
    }
    bool failed;
    int64_t done = partition_done_offset(service, partition, &failed);
    if (failed) {
        partition->rewind_offset = done;
    }
    if (done >= 0 && done != partition->committed_offset) {
        rd_kafka_topic_partition_list_add(offsets, partition->topic, partition->number)->offset =
            done;
        partition->committed_offset = done;
    }
}

static void commit_refused(struct tidings *service, rd_kafka_resp_err_t code,
                           const rd_kafka_topic_partition_list_t *offsets)
{
    service_log(service, TIDINGS_LOG_WARN,
                "progress could not be written down (%s); events since then may come again",
                rd_kafka_err2str(code));
    for (int i = 0; offsets != NULL && i < offsets->cnt; i++) {
        struct partition *partition =
            partition_find(service, offsets->elems[i].topic, offsets->elems[i].partition);
        if (partition != NULL) {
            partition->committed_offset = -1; /* send it with the next commit */
        }
    }
}

static void commit_send(struct tidings *service, rd_kafka_topic_partition_list_t *offsets,
                        bool wait)
{
    if (offsets->cnt > 0) {
        rd_kafka_resp_err_t code = rd_kafka_commit(service->consumer, offsets, !wait);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
            commit_refused(service, code, offsets);
        }
    }
    rd_kafka_topic_partition_list_destroy(offsets);
}

void on_commit(rd_kafka_t *consumer, rd_kafka_resp_err_t code,
               rd_kafka_topic_partition_list_t *offsets, void *opaque)
{
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR__NO_OFFSET) {
        commit_refused(opaque, code, offsets);
    }
}

void progress_commit(struct tidings *service, bool wait)
{
    rd_kafka_topic_partition_list_t *offsets =
        rd_kafka_topic_partition_list_new((int)HASH_COUNT(service->partitions));
    for (struct partition *p = service->partitions; p != NULL; p = p->hh.next) {
        commit_add(service, p, offsets);
    }
    commit_send(service, offsets, wait);
}

static void log_held(struct tidings *service)
{
    struct buf text = {0};
    for (struct partition *p = service->partitions; p != NULL; p = p->hh.next) {
        buf_printf(&text, " %s", p->name);
    }
    service_log(service, TIDINGS_LOG_INFO, "holds %u partitions:%s",
                HASH_COUNT(service->partitions), buf_cstr(&text));
    buf_deinit(&text);
}

static void partitions_take(struct tidings *service, const rd_kafka_topic_partition_list_t *added)
{
    for (int i = 0; i < added->cnt; i++) {
        const rd_kafka_topic_partition_t *element = &added->elems[i];
        if (partition_find(service, element->topic, element->partition) == NULL) {
            partition_add(service, element->topic, element->partition);
        }
    }
}

static void partitions_give(struct tidings *service, const rd_kafka_topic_partition_list_t *removed,
                            bool lost)
{
    int64_t deadline_ms = clock_mono_ms(clock_system()) + REVOKE_WAIT_MS;
    rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(removed->cnt);
    for (int i = 0; i < removed->cnt; i++) {
        struct partition *partition =
            partition_find(service, removed->elems[i].topic, removed->elems[i].partition);
        if (partition == NULL) {
            continue;
        }
        if (!lost) {
            flights_wait(service, partition, deadline_ms);
            commit_add(service, partition, offsets);
        }
    }
    commit_send(service, offsets, true);
    for (int i = 0; i < removed->cnt; i++) {
        struct partition *partition =
            partition_find(service, removed->elems[i].topic, removed->elems[i].partition);
        if (partition != NULL) {
            partition_drop(service, partition);
        }
    }
}

void on_rebalance(rd_kafka_t *consumer, rd_kafka_resp_err_t code,
                  rd_kafka_topic_partition_list_t *changed, void *opaque)
{
    struct tidings *service = opaque;
    rd_kafka_error_t *failure = NULL;
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        partitions_take(service, changed);
        failure = rd_kafka_incremental_assign(consumer, changed);
    } else {
        partitions_give(service, changed, rd_kafka_assignment_lost(consumer));
        atomic_store(&service->joining, true); /* giving partitions back ends in a new join */
        failure = rd_kafka_incremental_unassign(consumer, changed);
    }
    if (failure != NULL) {
        service_log(service, TIDINGS_LOG_ERROR, "partitions could not be taken over: %s",
                    rd_kafka_error_string(failure));
        rd_kafka_error_destroy(failure);
    }
    if (changed->cnt > 0) {
        log_held(service);
    }
}
