#include "bus/console/console_page.h"

#include "base/random.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

/*
 * What the form "Publish" sends (application/x-www-form-urlencoded), given on as a program would
 * send it to POST /v1/topics/{topic}. That it comes from a page of ours is the server's to check.
 */

static int hex_digit(char letter)
{
    return isdigit((unsigned char)letter)    ? letter - '0'
           : isxdigit((unsigned char)letter) ? tolower((unsigned char)letter) - 'a' + 10
                                             : -1;
}

struct slice page_sent(struct page *page, const char *name)
{
    struct slice body = http_body(page->request);
    size_t name_size = strlen(name);
    for (size_t at = 0; at < body.size;) {
        const uint8_t *end = memchr(body.data + at, '&', body.size - at);
        size_t stop = end != NULL ? (size_t)(end - body.data) : body.size;
        bool is_it = stop - at > name_size && memcmp(body.data + at, name, name_size) == 0 &&
                     body.data[at + name_size] == '=';
        if (is_it) {
            struct buf value = {0};
            for (size_t i = at + name_size + 1; i < stop; i++) {
                char letter = (char)body.data[i];
                int high = letter == '%' && stop - i > 2 ? hex_digit((char)body.data[i + 1]) : -1;
                int low = high >= 0 ? hex_digit((char)body.data[i + 2]) : -1;
                if (high == 0 && low == '\r') { /* browsers end lines with both */
                    i += 2;
                } else if (low >= 0) {
                    buf_append_u8(&value, (uint8_t)(high << 4 | low));
                    i += 2;
                } else {
                    buf_append_u8(&value, letter == '+' ? ' ' : (uint8_t)letter);
                }
            }
            size_t size = value.size;
            struct slice kept = slice_of(arena_cstr(&page->arena, buf_slice(&value)), size);
            buf_deinit(&value);
            return kept;
        }
        at = stop + 1;
    }
    return (struct slice){0};
}

/* A field as the value of a header: percent-encoded (CloudEvents HTTP binding, 3.1.3.2). */
static const char *header(struct page *page, const char *name, struct slice value)
{
    struct buf line = {0};
    buf_append_str(&line, name);
    buf_append_str(&line, ": ");
    html_url_encode(&line, arena_cstr(&page->arena, value));
    const char *text = arena_cstr(&page->arena, buf_slice(&line));
    buf_deinit(&line);
    return text;
}

static bool is_json(struct slice bytes)
{
    json_t *json = json_loadb((const char *)bytes.data, bytes.size, JSON_ALLOW_NUL, NULL);
    bool is_fine = json != NULL;
    json_decref(json);
    return is_fine;
}

/* Fills the headers of the request to /v1; ended by NULL. */
static void set_headers(struct page *page, struct slice value, const char *headers[8])
{
    struct slice type = page_sent(page, "type"), source = page_sent(page, "source");
    struct slice subject = page_sent(page, "subject");
    char id[UUID_TEXT_SIZE];
    size_t count = 0;
    headers[count++] = is_json(value) ? "Content-Type: application/json"
                                      : "Content-Type: text/plain; charset=utf-8";
    if (type.size > 0) {
        headers[count++] = "ce-specversion: 1.0";
        headers[count++] = page_printf(page, "ce-id: %s", random_uuid_text(id));
        headers[count++] = header(page, "ce-type", type);
        headers[count++] =
            header(page, "ce-source", source.size > 0 ? source : slice_str("/tidings/console"));
        if (subject.size > 0) {
            headers[count++] = header(page, "ce-subject", subject);
        }
    }
    headers[count] = NULL;
}

void page_publish(struct page *page)
{
    const char *topic = http_segment(page->request, "topic"), *headers[8];
    struct slice value = page_sent(page, "value"), key = page_sent(page, "key");
    struct http_answer answer;
    const char *target = key.size > 0 ? html_url(&page->arena, "/v1/topics/{}?key={}", topic,
                                                 arena_cstr(&page->arena, key))
                                      : html_url(&page->arena, "/v1/topics/{}", topic);
    page->live_ms = 0;
    page->title = page_printf(page, "Publish to %.300s", topic);
    set_headers(page, value, headers);
    console_ask(page, "POST", target, headers, value, &answer);
    vec_push(&page->answers, json_incref(answer.json));
    const json_t *result = json_array_get(json_object_get(answer.json, "results"), 0);
    if (answer.status == 200 && result != NULL) {
        const char *place =
            page_printf(page, "%" PRId64 ":%" PRId64, json_number(result, "partition"),
                        json_number(result, "offset"));
        http_reply_empty(page->reply, 303); /* so that a reload does not publish it once more */
        http_reply_header(page->reply, "Location",
                          html_url(&page->arena, "/topics/{}?published={}", topic, place));
        page->is_done = true;
    } else {
        page->status = answer.status >= 400 ? answer.status : 502;
        page_problem(page, answer.json);
        html_begin(&page->html, "p", NULL);
        html_element(&page->html, "a", "Back to the form", "href",
                     html_url(&page->arena, "/topics/{}?tab=publish", topic), NULL);
        html_end(&page->html, "p");
    }
    http_answer_deinit(&answer);
}
