#ifndef TIDINGS_BUS_HTTP_HTTP_GUARD_H
#define TIDINGS_BUS_HTTP_HTTP_GUARD_H

/* The inside of http.h: who may ask. Pure; any thread. */

#include "bus/http/http_request.h"

struct http_guard {
    bool is_loopback;          /* the listener's address is */
    const char *allowed_hosts; /* NULL: none are named */
};

/* Whether a proxy in front of us cannot have read another request in the same bytes: one Host, and
 * one way to tell the body's end (RFC 9112, 3.2 and 6.3). False: the reply says so (400), and the
 * connection ends with it. */
bool http_guard_framing(const struct http_request *request, struct http_reply *reply);

/* Whether the client calls us by a name of ours. False: the reply says so (400, 403). */
bool http_guard_host(const struct http_guard *guard, const struct http_request *request,
                     struct http_reply *reply);

/* Whether what is not GET cannot have been sent by a page of another site. False: the reply says
 * what to do (403, 415). */
bool http_guard_origin(const struct http_guard *guard, const struct http_request *request,
                       struct http_reply *reply);

#endif
