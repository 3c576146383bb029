#include "bus/http/http_guard.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

/* --- framing --- */

struct framing {
    size_t hosts, lengths, encodings;
};

static void count_header(void *context, const char *name, const char *value)
{
    struct framing *framing = context;
    (void)value;
    framing->hosts += strcmp(name, "host") == 0;
    framing->lengths += strcmp(name, "content-length") == 0;
    framing->encodings += strcmp(name, "transfer-encoding") == 0;
}

/* Where a body ends cannot be known, so the connection does not go on, and nothing is read of it.
 */
static void end_after(struct http_reply *reply)
{
    reply->has_to_close = true;
    http_reply_header(reply, "Connection", "close");
}

bool http_guard_framing(const struct http_request *request, struct http_reply *reply)
{
    struct framing framing = {0};
    const char *encoding = http_header(request, "transfer-encoding");
    http_header_each(request, count_header, &framing);
    if (framing.hosts <= 1 && framing.lengths + framing.encodings <= 1) {
        if (encoding == NULL || strcasecmp(encoding, "chunked") == 0) {
            return true;
        }
        http_problem(reply, 501, "Transfer coding not known",
                     "Transfer-Encoding: %s is not taken: send the body chunked, or with its "
                     "Content-Length",
                     encoding);
        end_after(reply);
        return false;
    }
    http_problem(reply, 400, "Ambiguous request", "the request has %s: send one",
                 framing.hosts > 1 ? "more than one Host"
                                   : "more than one Content-Length or Transfer-Encoding");
    end_after(reply);
    return false;
}

/* --- Host --- */

/* "" or ":8080" */
static bool is_port(const char *text)
{
    return text[0] == '\0' || (text[0] == ':' && text[1 + strspn(text + 1, "0123456789")] == '\0');
}

/* The host of "host:port", "[::1]:port" without the port; empty when it is none. */
static struct slice host_of(const char *authority)
{
    const char *end = authority[0] == '[' ? strchr(authority, ']') : NULL;
    size_t size = end != NULL ? (size_t)(end - authority) + 1 : strcspn(authority, ":");
    bool is_one = (authority[0] != '[' || end != NULL) && is_port(authority + size);
    return is_one ? slice_of(authority, size) : slice_str("");
}

static bool is_same(struct slice host, const char *name)
{
    return host.size == strlen(name) && strncasecmp((const char *)host.data, name, host.size) == 0;
}

static bool is_loopback_name(struct slice host)
{
    static const char below[] = ".localhost";
    char text[64];
    struct in_addr v4;
    if (host.size > sizeof below - 1 &&
        is_same(slice_of(host.data + host.size - (sizeof below - 1), sizeof below - 1), below)) {
        return true; /* RFC 6761, 6.3 */
    }
    if (is_same(host, "localhost") || is_same(host, "localhost.") || is_same(host, "[::1]")) {
        return true;
    }
    if (host.size >= sizeof text) {
        return false;
    }
    slice_copy(text, host);
    text[host.size] = '\0';
    return inet_pton(AF_INET, text, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

/* Whether the list "a, b:8080" has the host, with this port or without any. */
static bool is_listed(const char *list, const char *authority, struct slice host)
{
    while (list != NULL && *list != '\0') {
        list += strspn(list, ", ");
        size_t size = strcspn(list, ", ");
        if (size > 0 &&
            ((size == host.size && strncasecmp(list, (const char *)host.data, size) == 0) ||
             (size == strlen(authority) && strncasecmp(list, authority, size) == 0))) {
            return true;
        }
        list += size;
    }
    return false;
}

bool http_guard_host(const struct http_guard *guard, const struct http_request *request,
                     struct http_reply *reply)
{
    const char *authority = http_request_host(request);
    struct slice host = host_of(authority != NULL ? authority : "");
    if (host.size == 0) {
        http_problem(reply, 400, "No host", "the request has no Host header that names a host");
        return false;
    }
    bool is_any = !guard->is_loopback && guard->allowed_hosts == NULL;
    if (is_any || is_loopback_name(host) || is_listed(guard->allowed_hosts, authority, host)) {
        return true;
    }
    http_problem(reply, 403, "Unknown host",
                 "this server is not called %s (a page of a foreign site could have made your "
                 "browser ask); call it by its address or as localhost, or name it in the setting "
                 "http.allowed.hosts",
                 authority);
    return false;
}

/* --- Origin --- */

static bool is_safe_method(const char *method)
{
    return strcmp(method, "GET") == 0 || strcmp(method, "OPTIONS") == 0;
}

static bool is_own_origin(const struct http_guard *guard, const struct http_request *request,
                          const char *origin)
{
    const char *behind = strstr(origin, "://");
    const char *host = http_request_host(request);
    if (behind == NULL) {
        return false; /* "null" */
    }
    behind += 3;
    return (host != NULL && strcasecmp(behind, host) == 0) ||
           is_listed(guard->allowed_hosts, behind, host_of(behind));
}

/* What HTML forms and scripts may send anywhere without being asked for (Fetch, "CORS-safelisted
 * request-header"). */
static bool is_simple_type(const char *type)
{
    static const char *const simple[] = {"application/x-www-form-urlencoded", "multipart/form-data",
                                         "text/plain"};
    size_t size = type != NULL ? strcspn(type, "; \t,") : 0;
    for (size_t i = 0; i < sizeof simple / sizeof simple[0]; i++) {
        if (is_same(slice_of(type, size), simple[i])) {
            return true;
        }
    }
    return size == 0;
}

static void note_attribute(void *context, const char *name, const char *value)
{
    bool *has = context;
    *has |= strncmp(name, "ce-", 3) == 0;
}

static bool is_asked_for(const struct http_request *request)
{
    bool has_attribute = false;
    http_header_each(request, note_attribute, &has_attribute);
    return has_attribute || http_header(request, "tidings-request") != NULL ||
           strcmp(request->method, "POST") != 0 || /* no form can */
           !is_simple_type(http_header(request, "content-type"));
}

bool http_guard_origin(const struct http_guard *guard, const struct http_request *request,
                       struct http_reply *reply)
{
    const char *origin = http_header(request, "origin");
    const char *site = http_header(request, "sec-fetch-site");
    if (is_safe_method(request->method)) {
        return true;
    }
    bool is_own = origin != NULL && is_own_origin(guard, request, origin);
    bool is_same_site =
        site != NULL && (strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0);
    if ((origin != NULL && !is_own) || (site != NULL && !is_same_site)) {
        http_problem(
            reply, 403, "Foreign page",
            "a page of %s asked for this, which is not this server's; if it is yours, name "
            "its host in the setting http.allowed.hosts",
            origin != NULL ? origin : "another site");
        return false;
    }
    if (is_own || is_same_site || is_asked_for(request)) {
        return true;
    }
    http_problem(
        reply, 415, "Content type wanted",
        "a page of any site can make a browser send this unasked; say what the body is, as "
        "in Content-Type: application/json, or add the header Tidings-Request: 1");
    return false;
}
