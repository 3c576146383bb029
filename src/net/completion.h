#ifndef TIDINGS_NET_COMPLETION_H
#define TIDINGS_NET_COMPLETION_H

#include "net/net.h"

/*
 * The end of one request: all that is needed to answer it, whoever does so, on which thread, and
 * whether its connection is still there. A plain value that may outlive the request it was taken
 * from; used once (api_complete). net only looks at the token, the rest is the answer's header.
 */
struct completion {
    struct reply_token token;
    int32_t correlation_id;
    int16_t api_key;
    int16_t api_version;
};

#endif
