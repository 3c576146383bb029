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
    /* Of a fault on request (api/faults.h): else 0 and false. */
    bool loses_answer; /* no bytes, and the connection is closed */
    int32_t hold_ms;   /* the answer is held back for so long */
};

#endif
