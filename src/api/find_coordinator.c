#include "wire/generated/find_coordinator.h"

#include "api/handlers.h"

enum { KEY_GROUP = 0, KEY_TRANSACTION = 1 };

/*
 * This server coordinates all groups and transactions, and the empty group: consumers without a
 * group may still commit offsets under it, but not join it.
 */
static int16_t check_key(struct api_request *request, int8_t type, struct slice key,
                         struct slice *message)
{
    *message = (struct slice){0};
    if (type == KEY_GROUP) {
        return api_allows(request, API_DESCRIBE, api_group(key))
                   ? KAFKA_ERROR_NONE
                   : KAFKA_ERROR_GROUP_AUTHORIZATION_FAILED;
    }
    if (type == KEY_TRANSACTION) {
        return api_allows(request, API_DESCRIBE, api_transactional_id(key))
                   ? KAFKA_ERROR_NONE
                   : KAFKA_ERROR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    }
    *message = slice_str("unknown coordinator type");
    return KAFKA_ERROR_INVALID_REQUEST;
}

static void fill_single(struct api_request *request, const struct find_coordinator_request *body,
                        struct find_coordinator_response *response)
{
    response->error_code = check_key(request, body->key_type, body->key, &response->error_message);
    bool found = response->error_code == KAFKA_ERROR_NONE;
    response->node_id = found ? request->server->config.node_id : -1;
    response->host = found ? slice_str(request->host) : WIRE_EMPTY;
    response->port = found ? request->port : -1;
}

static void fill_many(struct api_request *request, const struct find_coordinator_request *body,
                      struct find_coordinator_response *response)
{
    int32_t count = body->coordinator_keys_count;
    response->coordinators = api_alloc(request, (size_t)count, sizeof *response->coordinators);
    response->coordinators_count = count;
    for (int32_t i = 0; i < count; i++) {
        struct find_coordinator_response_coordinator *out = &response->coordinators[i];
        find_coordinator_response_coordinator_init(out);
        out->key = body->coordinator_keys[i];
        out->error_code = check_key(request, body->key_type, out->key, &out->error_message);
        bool found = out->error_code == KAFKA_ERROR_NONE;
        out->node_id = found ? request->server->config.node_id : -1;
        out->host = found ? slice_str(request->host) : WIRE_EMPTY;
        out->port = found ? request->port : -1;
    }
}

enum err handle_find_coordinator(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct find_coordinator_request body;
    enum err err = find_coordinator_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    struct find_coordinator_response response;
    find_coordinator_response_init(&response);
    if (api_version(request) >= 4) {
        fill_many(request, &body, &response);
    } else {
        fill_single(request, &body, &response);
    }
    API_REPLY(request, find_coordinator_response_encode, &response);
    return ERR_NONE;
}
