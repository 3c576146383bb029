#include "wire/generated/init_producer_id.h"

#include "api/handlers.h"

/*
 * Idempotent producers get an id that was never given out, with epoch 0 (KIP-98). One that comes
 * back with its id after an error gets a fresh one too, which starts its sequences anew (KIP-360).
 */
enum err handle_init_producer_id(struct api_request *request, struct reason *reason)
{
    struct init_producer_id_request body;
    enum err err = init_producer_id_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    struct init_producer_id_response response;
    init_producer_id_response_init(&response);
    bool half = (body.producer_id < 0) != (body.producer_epoch < 0);
    if (!slice_is_null(body.transactional_id) || half) {
        /* FindCoordinator says so first; transactional producers do not get here. */
        response.error_code = KAFKA_ERROR_INVALID_REQUEST;
        response.producer_epoch = -1;
    } else {
        err = catalogue_next_producer_id(request->server->catalogue, &response.producer_id, reason);
        response.error_code = api_error_code(err);
    }
    API_REPLY(request, init_producer_id_response_encode, &response);
    return ERR_NONE;
}
