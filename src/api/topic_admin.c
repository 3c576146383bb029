#include "api/topic_admin.h"

int16_t admin_error_code(enum err err)
{
    return err == ERR_INVALID ? KAFKA_ERROR_INVALID_PARTITIONS : api_error_code(err);
}

enum err admin_check_replicas(const struct api_server *server, const int32_t *broker_ids,
                              int32_t broker_ids_count, int32_t partition, struct reason *reason)
{
    if (broker_ids_count != 1 || broker_ids[0] != server->config.node_id) {
        return reason_fail(reason, ERR_INVALID,
                           "partition %d must be assigned to server %d alone: it is the only one",
                           (int)partition, (int)server->config.node_id);
    }
    return ERR_NONE;
}

const bool *admin_find_repeated(struct api_request *request, const struct slice *names,
                                int32_t count)
{
    bool *repeated = api_alloc(request, (size_t)count, sizeof *repeated);
    const int32_t *first = api_first_of_equal(request, names, count);
    for (int32_t i = 0; i < count; i++) {
        if (first[i] != i) {
            repeated[i] = true;
            repeated[first[i]] = true;
        }
    }
    return repeated;
}
