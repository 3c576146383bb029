#include "api/appended.h"

#include "topic/partition.h"

struct appended_call {
    struct flush_waiter waiter;
    struct api_request *request;
    struct appended appended;
};

void appended_add(struct appended *appended, const struct api_request *request, struct slice topic,
                  int32_t index)
{
    struct partition *partition = api_find_partition(request->server, topic, index);
    if (partition == NULL) {
        return;
    }
    int64_t end_offset = log_end_offset(partition->log);
    if (!log_is_offline(partition->log) && !partition_acknowledged(partition, end_offset)) {
        log_ref(partition->log);
        vec_push(appended, (struct flush_target){partition->log, end_offset});
    }
    partition_unref(partition);
}

/* On the flusher's thread, which has raised the high watermarks. */
static void on_flushed(struct flush_waiter *waiter)
{
    struct appended_call *call = container_of(waiter, struct appended_call, waiter);
    struct api_request *request = call->request;
    for (size_t i = 0; i < call->appended.count; i++) {
        log_unref(call->appended.items[i].log);
    }
    vec_deinit(&call->appended);
    api_resume(request);
}

bool appended_wait(struct api_request *request, struct appended *appended, api_step *step)
{
    if (appended->count == 0) {
        return false;
    }
    struct appended_call *call = api_alloc(request, 1, sizeof *call);
    api_park(request, step);
    call->request = request;
    call->appended = *appended;
    call->waiter = (struct flush_waiter){
        .targets = call->appended.items, .target_count = call->appended.count, .done = on_flushed};
    *appended = (struct appended){.count = 0};
    flush_wait(request->server->flusher, &call->waiter);
    return true;
}
