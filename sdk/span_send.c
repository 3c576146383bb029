#include "base/library.h"
#include "service.h"
#include "span.h"

#include "base/clock.h"
#include "base/mem.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

/*
 * The exporter: a thread that sends what is queued, in batches, and tries again what the collector
 * could not take for a while. Meanwhile the queue fills, and what finds no room is dropped.
 */

#define FUNCTIONS(each)                                                                            \
    each(curl_global_init) each(curl_easy_init) each(curl_easy_setopt) each(curl_easy_perform)     \
        each(curl_easy_getinfo) each(curl_easy_cleanup) each(curl_easy_strerror)                   \
            each(curl_slist_append) each(curl_slist_free_all)

enum { FUNCTIONS(LIBRARY_AT) FUNCTION_COUNT };
static const char *const names[] = {FUNCTIONS(LIBRARY_NAME) NULL};
static const char *const files[] = {"libcurl.so.4", "libcurl-gnutls.so.4", "libcurl.so", NULL};

#define CALL(name)         LIBRARY_CALL(spans->functions, name)
#define SET(option, value) CALL(curl_easy_setopt)(spans->curl, option, value)

enum {
    QUEUE_MOST = 2048,
    BATCH_MOST = 512,
    TRIES = 6, /* of a batch, with growing waits between */
    AGAIN_FIRST_MS = 500,
    AGAIN_MAX_MS = 10000,
    LAST_MS = 2000 /* for what is queued at the end */
};

struct spans {
    struct tidings *service;
    struct span_settings settings;
    library_function *functions[FUNCTION_COUNT];

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    struct span *queue;
    size_t queued;
    uint64_t sent, dropped;
    bool is_ending;
    int64_t end_by_ms; /* monotonic */
    pthread_t thread;

    /* the thread's own */
    CURL *curl;
    struct curl_slist *headers;
    bool is_told; /* that nobody takes them */
};

/* --- the queue --- */

void span_drop(struct span *span)
{
    if (span != NULL) {
        arena_deinit(&span->arena);
        free(span);
    }
}

void spans_add(struct spans *spans, struct span *span)
{
    pthread_mutex_lock(&spans->lock);
    bool has_room = spans->queued < QUEUE_MOST;
    if (has_room) {
        DL_APPEND(spans->queue, span);
        spans->queued++;
        if (spans->queued == BATCH_MOST) {
            pthread_cond_signal(&spans->changed);
        }
    } else {
        spans->dropped++;
    }
    pthread_mutex_unlock(&spans->lock);
    if (!has_room) {
        span_drop(span);
    }
}

void spans_counts(struct spans *spans, struct spans_counts *counts)
{
    pthread_mutex_lock(&spans->lock);
    *counts = (struct spans_counts){.sent = spans->sent, .dropped = spans->dropped};
    pthread_mutex_unlock(&spans->lock);
}

bool spans_sample(const struct spans *spans, const struct trace *parent, const char *trace_id)
{
    const struct span_settings *settings = &spans->settings;
    if (settings->asks_parent && parent != NULL) {
        return parent->is_sampled;
    }
    if (settings->sampler != SAMPLE_RATIO) {
        return settings->sampler == SAMPLE_ALL;
    }
    /* the same for all who see this trace */
    uint64_t random = strtoull(trace_id + 16, NULL, 16) >> 1;
    return (double)random < settings->ratio * 0x1p63;
}

/* Up to a batch of them. False: it is the end, and nothing is queued. */
static bool take(struct spans *spans, struct span **batch, size_t *count)
{
    int64_t until_ms = clock_mono_ms(clock_system()) + spans->settings.delay_ms;
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    *batch = NULL;
    *count = 0;
    pthread_mutex_lock(&spans->lock);
    while (!spans->is_ending && spans->queued < BATCH_MOST &&
           pthread_cond_timedwait(&spans->changed, &spans->lock, &until) == 0) {
    }
    while (spans->queue != NULL && *count < BATCH_MOST) {
        struct span *span = spans->queue;
        DL_DELETE(spans->queue, span);
        DL_APPEND(*batch, span);
        ++*count;
    }
    spans->queued -= *count;
    bool goes_on = !spans->is_ending || *count > 0;
    pthread_mutex_unlock(&spans->lock);
    return goes_on;
}

/* How long the thread may go on: LAST_MS once it is the end. */
static int64_t patience_ms(struct spans *spans)
{
    pthread_mutex_lock(&spans->lock);
    int64_t left_ms = spans->is_ending ? spans->end_by_ms - clock_mono_ms(clock_system())
                                       : spans->settings.timeout_ms;
    pthread_mutex_unlock(&spans->lock);
    return left_ms < 0 ? 0 : left_ms;
}

/* --- sending --- */

static int on_progress(void *context, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up)
{
    (void)down_total;
    (void)down;
    (void)up_total;
    (void)up;
    return patience_ms(context) == 0;
}

static size_t on_answer(char *data, size_t one, size_t size, void *context)
{
    (void)data;
    (void)one;
    (void)context;
    return size;
}

enum outcome_of { SENT, LATER, REFUSED };

static enum outcome_of send_once(struct spans *spans, const struct buf *body, char *why,
                                 size_t size)
{
    long status = 0;
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->size);
    SET(CURLOPT_POSTFIELDS, (const char *)body->data);
    SET(CURLOPT_TIMEOUT_MS, (long)patience_ms(spans) + 1);
    CURLcode code = CALL(curl_easy_perform)(spans->curl);
    if (code != CURLE_OK) {
        snprintf(why, size, "%s", CALL(curl_easy_strerror)(code));
        return LATER;
    }
    CALL(curl_easy_getinfo)(spans->curl, CURLINFO_RESPONSE_CODE, &status);
    snprintf(why, size, "it answers %ld", status);
    if (status >= 200 && status < 300) {
        return SENT;
    }
    return status == 429 || status == 502 || status == 503 || status == 504 ? LATER : REFUSED;
}

/* False: the end, or as long as said. */
static void wait_again(struct spans *spans, int wait_ms)
{
    int64_t until_ms = clock_mono_ms(clock_system()) + wait_ms;
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    pthread_mutex_lock(&spans->lock);
    while (!spans->is_ending &&
           pthread_cond_timedwait(&spans->changed, &spans->lock, &until) == 0) {
    }
    pthread_mutex_unlock(&spans->lock);
}

static void tell(struct spans *spans, bool is_taken, const char *why)
{
    if (!is_taken && !spans->is_told) {
        service_log(spans->service, TIDINGS_LOG_WARN,
                    "spans cannot be sent to %.200s: %.200s; those that find no room are dropped",
                    spans->settings.url, why);
    } else if (is_taken && spans->is_told) {
        service_log(spans->service, TIDINGS_LOG_INFO, "spans are sent again");
    }
    spans->is_told = !is_taken;
}

static bool send_batch(struct spans *spans, const struct span *batch)
{
    struct buf body = {0};
    char why[200];
    enum outcome_of outcome = LATER;
    int wait_ms = AGAIN_FIRST_MS;
    spans_encode(&spans->settings.resource, batch, &body);
    for (int i = 0; i < TRIES && outcome == LATER && patience_ms(spans) > 0; i++) {
        if (i > 0) {
            wait_again(spans, wait_ms);
            wait_ms = 2 * wait_ms < AGAIN_MAX_MS ? 2 * wait_ms : AGAIN_MAX_MS;
        }
        outcome = send_once(spans, &body, why, sizeof why);
        tell(spans, outcome == SENT, why);
    }
    buf_deinit(&body);
    return outcome == SENT;
}

static void *run(void *argument)
{
    struct spans *spans = argument;
    struct span *batch, *span, *next;
    size_t count;
    while (take(spans, &batch, &count)) {
        bool is_sent = count > 0 && send_batch(spans, batch);
        DL_FOREACH_SAFE (batch, span, next) {
            span_drop(span);
        }
        pthread_mutex_lock(&spans->lock);
        spans->sent += is_sent ? count : 0;
        spans->dropped += is_sent ? 0 : count;
        pthread_mutex_unlock(&spans->lock);
    }
    return NULL;
}

/* --- life --- */

static void spans_free(struct spans *spans)
{
    if (spans->curl != NULL) {
        CALL(curl_easy_cleanup)(spans->curl);
    }
    if (spans->headers != NULL) {
        CALL(curl_slist_free_all)(spans->headers);
    }
    span_settings_deinit(&spans->settings);
    pthread_cond_destroy(&spans->changed);
    pthread_mutex_destroy(&spans->lock);
    free(spans);
}

static struct spans *spans_new(struct tidings *service)
{
    struct spans *spans = mem_new(struct spans);
    pthread_condattr_t monotonic;
    spans->service = service;
    pthread_mutex_init(&spans->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&spans->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return spans;
}

static void add_headers(struct spans *spans)
{
    struct arena arena = {0};
    const char *text = spans->settings.headers, *name, *value;
    spans->headers = CALL(curl_slist_append)(NULL, "Content-Type: application/json");
    while (text != NULL && span_pair(&text, &arena, &name, &value)) {
        struct buf line = {0};
        buf_printf(&line, "%s: %s", name, value);
        if (strpbrk(buf_cstr(&line), "\r\n") == NULL) {
            spans->headers = CALL(curl_slist_append)(spans->headers, buf_cstr(&line));
        }
        buf_deinit(&line);
    }
    arena_deinit(&arena);
}

static bool start(struct spans *spans, char *why, size_t size)
{
    if (!library_load(files, names, spans->functions, why, size)) {
        return false;
    }
    if (CALL(curl_global_init)(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
        (spans->curl = CALL(curl_easy_init)()) == NULL) {
        snprintf(why, size, "libcurl does not begin");
        return false;
    }
    add_headers(spans);
    SET(CURLOPT_URL, spans->settings.url);
    SET(CURLOPT_HTTPHEADER, spans->headers);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_USERAGENT, "libtidings/" TIDINGS_VERSION);
    SET(CURLOPT_WRITEFUNCTION, on_answer);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(CURLOPT_XFERINFODATA, spans);
    if (pthread_create(&spans->thread, NULL, run, spans) != 0) {
        snprintf(why, size, "no thread for them");
        return false;
    }
    return true;
}

enum tidings_status spans_open(struct tidings *service, struct spans **spans,
                               struct tidings_error *error)
{
    struct spans *made = spans_new(service);
    char why[200];
    *spans = NULL;
    enum tidings_status status = span_settings_read(service, &made->settings, error);
    if (status != TIDINGS_OK || made->settings.url == NULL) {
        spans_free(made);
        return status;
    }
    if (start(made, why, sizeof why)) {
        *spans = made;
        return TIDINGS_OK;
    }
    if (made->settings.is_optional) {
        service_log(service, TIDINGS_LOG_WARN, "spans for %.200s: %.150s; going on without",
                    made->settings.url, why);
    } else {
        status = error_set(error, TIDINGS_INVALID, "options.otlp_endpoint: %.150s", why);
    }
    spans_free(made);
    return status;
}

void spans_close(struct spans *spans)
{
    if (spans == NULL) {
        return;
    }
    pthread_mutex_lock(&spans->lock);
    spans->is_ending = true;
    spans->end_by_ms =
        clock_mono_ms(clock_system()) + deadline_left_ms(&spans->service->stop, LAST_MS);
    pthread_cond_broadcast(&spans->changed);
    pthread_mutex_unlock(&spans->lock);
    pthread_join(spans->thread, NULL);
    spans_free(spans);
}
