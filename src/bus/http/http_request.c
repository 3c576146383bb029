#include "bus/http/http_request.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- the target --- */

static int hex_digit(char letter)
{
    if (letter >= '0' && letter <= '9') {
        return letter - '0';
    }
    letter = (char)(letter | 0x20);
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

static bool is_utf8(struct slice text)
{
    while (text.size > 0) {
        size_t size = utf8_sequence(text);
        if (size == 0) {
            return false;
        }
        text = slice_of(text.data + size, text.size - size);
    }
    return true;
}

/* Decodes %XX, and in a query + as a blank. */
static enum err decode(struct http_request *request, struct slice from, bool is_query,
                       const char **to, struct reason *reason)
{
    char *text = arena_alloc(&request->arena, from.size + 1);
    size_t size = 0;
    for (size_t i = 0; i < from.size; i++) {
        char letter = (char)from.data[i];
        if (letter == '%') {
            int high = i + 2 < from.size ? hex_digit((char)from.data[i + 1]) : -1;
            int low = high >= 0 ? hex_digit((char)from.data[i + 2]) : -1;
            if (low < 0 || (high == 0 && low == 0)) {
                return reason_fail(
                    reason, ERR_INVALID,
                    "'%.*s' has a %% that no two hexadecimal digits follow, or %%00; "
                    "write a %% as %%25",
                    (int)(from.size < 100 ? from.size : 100), (const char *)from.data);
            }
            letter = (char)(high << 4 | low);
            i += 2;
        } else if (letter == '+' && is_query) {
            letter = ' ';
        }
        text[size++] = letter;
    }
    *to = text;
    return is_utf8(slice_of(text, size))
               ? ERR_NONE
               : reason_fail(reason, ERR_INVALID, "'%.*s' is no UTF-8 when it is decoded",
                             (int)(from.size < 100 ? from.size : 100), (const char *)from.data);
}

static enum err take_segments(struct http_request *request, struct slice path,
                              struct reason *reason)
{
    size_t at = 1; /* behind the first slash */
    if (path.size <= 1) {
        return ERR_NONE;
    }
    while (at <= path.size) {
        const uint8_t *end = memchr(path.data + at, '/', path.size - at);
        size_t size = end != NULL ? (size_t)(end - path.data) - at : path.size - at;
        if (request->segment_count == HTTP_SEGMENTS_MAX) {
            return reason_fail(reason, ERR_TOO_LARGE, "the path has more than %d segments",
                               HTTP_SEGMENTS_MAX);
        }
        enum err err = decode(request, slice_of(path.data + at, size), false,
                              &request->segments[request->segment_count++], reason);
        if (err != ERR_NONE) {
            return err;
        }
        at += size + 1;
    }
    return ERR_NONE;
}

static enum err take_parameter(struct http_request *request, struct slice text,
                               struct reason *reason)
{
    const uint8_t *equals = slice_find(text, '=');
    size_t name_size = equals != NULL ? (size_t)(equals - text.data) : text.size;
    if (text.size == 0) {
        return ERR_NONE;
    }
    if (request->query_count == HTTP_QUERY_MAX) {
        return reason_fail(reason, ERR_TOO_LARGE, "the query has more than %d parameters",
                           HTTP_QUERY_MAX);
    }
    struct http_pair *pair = &request->query[request->query_count++];
    enum err err = decode(request, slice_of(text.data, name_size), true, &pair->name, reason);
    pair->value = "";
    if (err == ERR_NONE && equals != NULL) {
        err = decode(request, slice_of(equals + 1, text.size - name_size - 1), true, &pair->value,
                     reason);
    }
    return err;
}

static enum err take_query(struct http_request *request, const char *text, struct reason *reason)
{
    enum err err = ERR_NONE;
    while (err == ERR_NONE && *text != '\0') {
        size_t size = strcspn(text, "&");
        err = take_parameter(request, slice_of(text, size), reason);
        text += size + (text[size] == '&');
    }
    return err;
}

enum err http_request_target(struct http_request *request, const char *target,
                             struct reason *reason)
{
    static const char *const schemes[] = {"http://", "https://"};
    request->path = "";
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        if (strncasecmp(target, schemes[i], strlen(schemes[i])) == 0) { /* RFC 9112, 3.2.2 */
            target += strlen(schemes[i]);
            size_t size = strcspn(target, "/?");
            request->authority = arena_cstr(&request->arena, slice_of(target, size));
            target += size;
            break;
        }
    }
    size_t size = strcspn(target, "?");
    if (size == 0 && request->authority != NULL) {
        request->path = "/";
    } else {
        request->path = arena_cstr(&request->arena, slice_of(target, size));
    }
    if (request->path[0] != '/') {
        return strcmp(target, "*") == 0
                   ? ERR_NONE
                   : reason_fail(reason, ERR_INVALID, "the target '%.100s' does not begin with a /",
                                 target);
    }
    enum err err = take_segments(request, slice_str(request->path), reason);
    return err != ERR_NONE || target[size] == '\0' ? err
                                                   : take_query(request, target + size + 1, reason);
}

/* --- the rest of it --- */

void http_request_method(struct http_request *request, const char *method)
{
    request->is_head = strcmp(method, "HEAD") == 0;
    request->method = request->is_head ? "GET" : arena_cstr(&request->arena, slice_str(method));
}

void http_request_header(struct http_request *request, const char *name, const char *value)
{
    char *lower = arena_cstr(&request->arena, slice_str(name));
    for (char *at = lower; *at != '\0'; at++) {
        *at = (char)tolower((unsigned char)*at);
    }
    vec_push(&request->headers,
             (struct http_pair){lower, arena_cstr(&request->arena, slice_str(value))});
}

const char *http_request_host(const struct http_request *request)
{
    return request->authority != NULL ? request->authority : http_header(request, "host");
}

void http_request_deinit(struct http_request *request)
{
    vec_deinit(&request->headers);
    buf_deinit(&request->body);
    arena_deinit(&request->arena);
}

/* --- for handlers --- */

const char *http_method(const struct http_request *request)
{
    return request->method;
}

const char *http_path(const struct http_request *request)
{
    return request->path;
}

const char *http_segment(const struct http_request *request, const char *name)
{
    size_t size = strlen(name);
    for (size_t i = 0; i < request->place_count; i++) {
        const struct http_pair *place = &request->places[i];
        if (strncmp(place->name, name, size) == 0 && place->name[size] == '}') {
            return place->value;
        }
    }
    return NULL;
}

size_t http_query_all(const struct http_request *request, const char *name, const char **values,
                      size_t most)
{
    size_t count = 0;
    for (size_t i = 0; i < request->query_count; i++) {
        if (strcmp(request->query[i].name, name) == 0) {
            if (count < most) {
                values[count] = request->query[i].value;
            }
            count++;
        }
    }
    return count;
}

const char *http_query(const struct http_request *request, const char *name)
{
    const char *value = NULL;
    return http_query_all(request, name, &value, 1) > 0 ? value : NULL;
}

bool http_query_number(const struct http_request *request, struct http_reply *reply,
                       const char *name, int64_t least, int64_t most, int64_t otherwise,
                       int64_t *number)
{
    const char *text = http_query(request, name);
    char *end = NULL;
    *number = otherwise;
    if (text == NULL) {
        return true;
    }
    errno = 0;
    long long value = strtoll(text, &end, 10);
    bool is_digits =
        text[0] == '-' ? isdigit((unsigned char)text[1]) : isdigit((unsigned char)text[0]);
    if (errno != 0 || !is_digits || *end != '\0' || value < least || value > most) {
        http_problem(reply, 400, "Bad parameter", "%s=%s is no whole number from %lld to %lld",
                     name, text, (long long)least, (long long)most);
        return false;
    }
    *number = value;
    return true;
}

const char *http_header(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->headers.count; i++) {
        if (strcasecmp(request->headers.items[i].name, name) == 0) {
            return request->headers.items[i].value;
        }
    }
    return NULL;
}

void http_header_each(const struct http_request *request,
                      void (*each)(void *context, const char *name, const char *value),
                      void *context)
{
    for (size_t i = 0; i < request->headers.count; i++) {
        each(context, request->headers.items[i].name, request->headers.items[i].value);
    }
}

struct slice http_body(const struct http_request *request)
{
    return buf_slice(&request->body);
}

const char *http_peer(const struct http_request *request)
{
    return request->peer;
}

struct http *http_server(const struct http_request *request)
{
    return request->http;
}

bool http_shows_payloads(const struct http_request *request)
{
    return !request->hides_payloads;
}

const char *http_origin(const struct http_request *request)
{
    const char *host = http_request_host(request);
    struct http_request *self = (struct http_request *)(uintptr_t)request; /* it is kept */
    if (request->origin == NULL) {
        self->origin = arena_sprintf(&self->arena, "http://%s", host != NULL ? host : "localhost");
    }
    return request->origin;
}
