#include "bus/http/http_request.h"

#include "base/mem.h"
#include "base/text_format.h"
#include "base/utf8.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- what handlers say --- */

static void forget(struct http_reply *reply)
{
    json_decref(reply->json);
    reply->json = NULL;
    free(reply->content_type);
    reply->content_type = NULL;
    buf_deinit(&reply->body);
}

void http_reply_json(struct http_reply *reply, unsigned status, json_t *json)
{
    forget(reply);
    reply->status = json != NULL ? status : 0;
    reply->json = json;
    reply->content_type = mem_strdup("application/json");
}

void http_reply_text(struct http_reply *reply, unsigned status, const char *content_type,
                     struct buf *body)
{
    forget(reply);
    reply->status = status;
    reply->content_type = mem_strdup(content_type);
    reply->body = buf_take(body);
}

void http_reply_empty(struct http_reply *reply, unsigned status)
{
    forget(reply);
    reply->status = status;
}

unsigned http_reply_status(const struct http_reply *reply)
{
    return reply->status;
}

/* "Body too large" -> urn:tidings:problem:body-too-large, which programs compare. */
static json_t *kind_of(const char *title)
{
    struct buf kind = {0};
    buf_append_str(&kind, "urn:tidings:problem:");
    for (; *title != '\0'; title++) {
        bool is_plain = isalnum((unsigned char)*title);
        buf_append_u8(&kind, is_plain ? (uint8_t)tolower((unsigned char)*title) : '-');
    }
    json_t *json = json_stringn((const char *)kind.data, kind.size);
    buf_deinit(&kind);
    return json;
}

void http_problem(struct http_reply *reply, unsigned status, const char *title, const char *format,
                  ...)
{
    struct buf detail = {0};
    va_list args;
    va_start(args, format);
    text_format_escaped(&detail, format, args);
    va_end(args);
    forget(reply);
    json_t *text = json_string(buf_cstr(&detail));
    reply->status = status;
    reply->content_type = mem_strdup("application/problem+json");
    reply->json =
        json_pack("{s:o, s:s, s:i, s:o}", "type", kind_of(title), "title", title, "status",
                  (int)status, "detail", text != NULL ? text : json_string(title));
    buf_deinit(&detail);
}

void http_problem_add(struct http_reply *reply, const char *name, json_t *value)
{
    if (reply->json != NULL) {
        json_object_set_new(reply->json, name, value);
    } else {
        json_decref(value);
    }
}

static bool is_safe(const char *value)
{
    for (; *value != '\0'; value++) {
        if ((unsigned char)*value < ' ' || *value == 0x7f) {
            return false;
        }
    }
    return true;
}

void http_reply_header(struct http_reply *reply, const char *name, const char *value)
{
    if (!is_safe(value)) {
        return;
    }
    for (size_t i = 0; i < reply->headers.count; i++) {
        if (strcasecmp(reply->headers.items[i].name, name) == 0) {
            free((void *)(uintptr_t)reply->headers.items[i].value);
            reply->headers.items[i].value = mem_strdup(value);
            return;
        }
    }
    vec_push(&reply->headers, (struct http_pair){mem_strdup(name), mem_strdup(value)});
}

/* --- the server's own --- */

void http_reply_finish(struct http_reply *reply)
{
    if (reply->status == 0) {
        http_problem(reply, 500, "Internal error",
                     "the server has no answer to this; its log may tell why");
    }
    if (reply->json != NULL) {
        char *text = json_dumps(reply->json, JSON_COMPACT | JSON_ENCODE_ANY);
        if (text != NULL) {
            utf8_escape_json(&reply->body, slice_str(text));
            buf_append_u8(&reply->body, '\n');
        }
        free(text);
        json_decref(reply->json);
        reply->json = NULL;
    }
}

void http_reply_deinit(struct http_reply *reply)
{
    forget(reply);
    for (size_t i = 0; i < reply->headers.count; i++) {
        free((void *)(uintptr_t)reply->headers.items[i].name);
        free((void *)(uintptr_t)reply->headers.items[i].value);
    }
    vec_deinit(&reply->headers);
}

void http_reply_not_found(struct http_reply *reply, const char *path)
{
    http_problem(reply, 404, "Nothing here",
                 "there is nothing at %s; /v1/openapi.json describes what there is", path);
}

void http_reply_too_large(struct http_reply *reply, size_t most)
{
    if (most == 0) {
        http_problem(reply, 413, "Body too large", "this takes no body: send the request without");
    } else {
        http_problem(reply, 413, "Body too large",
                     "the body is larger than %zu bytes: send less at a time", most);
    }
    http_problem_add(reply, "most_bytes", json_integer((json_int_t)most));
}

void http_reply_busy(struct http_reply *reply, const char *why)
{
    http_problem(reply, 503, "Busy", "%s; try again in a second", why);
    http_reply_header(reply, "Retry-After", "1");
}
