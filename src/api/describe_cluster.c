#include "wire/generated/describe_cluster.h"

#include "api/handlers.h"

enum err handle_describe_cluster(struct api_request *request, struct reason *reason)
{
    (void)reason;
    const struct api_server *server = request->server;
    struct describe_cluster_request body;
    enum err err = describe_cluster_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    struct describe_cluster_response response;
    describe_cluster_response_init(&response);
    response.cluster_id = slice_str(catalogue_cluster_id(server->catalogue));
    struct describe_cluster_response_broker broker = {
        .broker_id = server->config.node_id,
        .host = slice_str(request->host),
        .port = request->port,
    };
    if (body.endpoint_type != 1) {
        /* Controllers are not for clients to reach (KIP-919). */
        response.error_code = body.endpoint_type == 2 ? KAFKA_ERROR_MISMATCHED_ENDPOINT_TYPE
                                                      : KAFKA_ERROR_UNSUPPORTED_ENDPOINT_TYPE;
        response.error_message = slice_str("only broker endpoints are served");
    } else {
        response.controller_id = server->config.node_id;
        response.brokers = &broker;
        response.brokers_count = 1;
    }
    if (body.include_cluster_authorized_operations) {
        response.cluster_authorized_operations = api_cluster_operations(request);
    }
    API_REPLY(request, describe_cluster_response_encode, &response);
    return ERR_NONE;
}
