#ifndef TIDINGS_API_GROUP_REPLY_H
#define TIDINGS_API_GROUP_REPLY_H

#include "group/group.h"
#include "net/net.h"

struct api_request;
struct api_server;

/*
 * Encodes what the coordinator decided, in the version of the request that waits for it, sends it
 * and frees the reply. For group_outlet.send. Any thread.
 */
void api_group_reply_send(const struct api_server *server, struct group_reply *reply);

/* Frees the request: for what the coordinator is asked, which answers it. The handler does not use
 * the request behind that call. */
struct group_release api_group_release(struct api_request *request);

/* Whether the request is on its reactor, and about a group that takes longer than that has
 * (api_handle_slowly). */
bool api_is_of_large_group(const struct api_request *request, struct slice group_id);

/* The peer's address as Kafka shows it: "/127.0.0.1". In the request's memory. */
struct slice api_client_host(struct api_request *request);

#endif
