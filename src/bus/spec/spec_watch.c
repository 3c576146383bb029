#include "bus/spec/spec_watch.h"

#include "base/clock.h"
#include "base/logger.h"
#include "base/mem.h"
#include "bus/http/http.h"
#include "bus/map/map_feed.h"
#include "bus/spec/spec_book.h"
#include "bus/spec/spec_write.h"
#include "client/admin/admin.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { SAVE_MS = 60000, SETTINGS_MOST = 100 };

struct routes {
    VEC_FIELDS(struct http_route);
};

struct spec_watch {
    const struct bus_parts *parts;
    struct http_route route;
    pthread_mutex_t lock; /* the book, and known */
    struct spec_book *book;
    struct routes known; /* what the server serves, once it runs */

    /* The watch's thread's own. */
    bool has_loaded, is_failing;
    int64_t next_save_ms; /* mono; 0: not yet said */
};

static int64_t mono_ms(void)
{
    return clock_mono_ms(clock_system());
}

/* --- the file --- */

static char *path_of(const struct spec_watch *spec)
{
    return mem_sprintf("%s/schemas.json", spec->parts->dir);
}

/* Under the lock. */
static void load_first(struct spec_watch *spec)
{
    struct reason reason;
    if (spec->has_loaded) {
        return;
    }
    char *path = path_of(spec);
    spec->has_loaded = true;
    if (spec_book_load(spec->book, path, &reason) == ERR_CORRUPT) {
        LOG_WARN("bus", "schemas of events are damaged: they are learned again",
                 "path=\"%s\" reason=\"%s\"", path, reason.text);
    }
    free(path);
}

/* Under the lock, or alone. */
static void save(struct spec_watch *spec)
{
    struct reason reason;
    char *path = path_of(spec);
    enum err err = spec_book_save(spec->book, path, &reason);
    if (err != ERR_NONE && !spec->is_failing) {
        LOG_WARN("bus", "schemas of events cannot be kept: they are learned again after a restart",
                 "reason=\"%s\"", reason.text);
    }
    spec->is_failing = err != ERR_NONE;
    free(path);
}

/* --- the sink --- */

static int64_t begin(void *context, const struct feed_source *source)
{
    struct spec_watch *spec = context;
    if (map_hides_topic(slice_str(source->topic))) {
        return FEED_NOT_WANTED;
    }
    pthread_mutex_lock(&spec->lock);
    load_first(spec);
    int64_t next = spec_book_next(spec->book, source);
    pthread_mutex_unlock(&spec->lock);
    return next < 0 ? FEED_FROM_START : next;
}

static void take(void *context, const struct feed_piece *piece)
{
    struct spec_watch *spec = context;
    pthread_mutex_lock(&spec->lock);
    load_first(spec);
    spec_book_take(spec->book, piece, mono_ms());
    pthread_mutex_unlock(&spec->lock);
}

static void tick(void *context, int64_t now_ms)
{
    struct spec_watch *spec = context;
    (void)now_ms;
    if (spec->next_save_ms == 0) {
        spec->next_save_ms = mono_ms() + SAVE_MS;
    }
    if (mono_ms() < spec->next_save_ms) {
        return;
    }
    spec->next_save_ms = mono_ms() + SAVE_MS;
    pthread_mutex_lock(&spec->lock);
    if (spec_book_is_dirty(spec->book)) {
        save(spec);
    }
    pthread_mutex_unlock(&spec->lock);
}

/* --- what the document needs of others --- */

static void learn(void *context, const struct http_route *route)
{
    vec_push((struct routes *)context, *route);
}

/* The flow map as its route tells it; NULL: the reply says why not. */
static json_t *ask_map(struct spec_watch *spec, struct http_reply *reply)
{
    struct http_answer answer;
    pthread_mutex_lock(&spec->lock);
    if (spec->known.count == 0 && spec->parts->http != NULL) {
        http_route_each(spec->parts->http, learn, &spec->known);
    }
    pthread_mutex_unlock(&spec->lock);
    http_try(spec->known.items, spec->known.count, "GET", "/v1/map", NULL, slice_str(""), &answer);
    json_t *map = answer.status == 200 ? json_incref(answer.json) : NULL;
    if (map == NULL) {
        http_problem(reply, 503, "No map", "the flow map is not there yet: ask again");
    }
    http_answer_deinit(&answer);
    return map;
}

static void set_integer(json_t *configuration, const struct admin_topic_setting *setting)
{
    static const char *const names[] = {"retention.ms", "retention.bytes", "delete.retention.ms",
                                        "max.message.bytes"};
    char *end;
    for (size_t i = 0; setting->value != NULL && i < sizeof names / sizeof names[0]; i++) {
        long long number = strtoll(setting->value, &end, 10);
        if (strcmp(setting->name, names[i]) == 0 && *end == '\0' && number >= -1) {
            json_object_set_new(configuration, names[i], json_integer(number));
        }
    }
}

static json_t *policy_json(const char *value)
{
    json_t *list = json_array();
    if (strstr(value, "delete") != NULL) {
        json_array_append_new(list, json_string("delete"));
    }
    if (strstr(value, "compact") != NULL) {
        json_array_append_new(list, json_string("compact"));
    }
    return list;
}

static void add_settings(struct connection *connection, const char *topic, json_t *binding)
{
    struct admin_topic_settings settings;
    if (admin_topic_settings(connection, topic, &settings, NULL) == CLIENT_OK) {
        json_t *configuration = json_object();
        for (size_t i = 0; i < settings.count; i++) {
            const struct admin_topic_setting *setting = &settings.items[i];
            if (strcmp(setting->name, "cleanup.policy") == 0 && setting->value != NULL) {
                json_object_set_new(configuration, setting->name, policy_json(setting->value));
            }
            set_integer(configuration, setting);
        }
        json_object_set_new(binding, "topicConfiguration", configuration);
    }
    admin_topic_settings_deinit(&settings);
}

/* Kafka's channel bindings by topic; without what the bus does not tell. */
static json_t *ask_topics(struct connection *connection)
{
    struct admin_topics topics;
    json_t *json = json_object();
    enum client_status status = admin_topics(connection, &topics, NULL);
    size_t asked = 0;
    for (size_t i = 0; status == CLIENT_OK && i < topics.count; i++) {
        const struct admin_topic *topic = &topics.items[i];
        if (map_hides_topic(slice_str(topic->name)) || topic->partitions.count == 0) {
            continue;
        }
        json_t *binding = json_pack("{s:I}", "partitions", (json_int_t)topic->partitions.count);
        if (asked++ < SETTINGS_MOST) {
            add_settings(connection, topic->name, binding);
        }
        json_object_set_new(json, topic->name, binding);
    }
    admin_topics_deinit(&topics);
    return json;
}

static const char *protocol_of(const struct connection_settings *settings)
{
    const char *protocol = settings->security.protocol;
    bool is_secure = protocol != NULL && strcasestr(protocol, "ssl") != NULL;
    return is_secure ? "kafka-secure" : "kafka";
}

/* Words of payloads stand in their schemas, and names that may be data. */
static void hide_payloads(json_t *messages)
{
    const char *id;
    json_t *message;
    json_object_foreach(messages, id, message)
    {
        json_object_del(message, "payload");
    }
}

static void answer(void *context, const struct http_request *request, struct http_reply *reply)
{
    struct spec_watch *spec = context;
    struct connection *connection = NULL;
    json_t *topics = NULL, *map = ask_map(spec, reply);
    if (map == NULL) {
        return;
    }
    if (bus_parts_connection(spec->parts, &connection, NULL) == CLIENT_OK) {
        topics = ask_topics(connection);
    }
    pthread_mutex_lock(&spec->lock);
    json_t *messages = spec_book_messages(spec->book);
    pthread_mutex_unlock(&spec->lock);
    if (!http_shows_payloads(request)) {
        hide_payloads(messages);
    }
    struct spec_parts parts = {.map = map,
                               .messages = messages,
                               .topics = topics,
                               .servers =
                                   connection != NULL ? connection_bootstrap(connection) : "",
                               .protocol = protocol_of(spec->parts->connection)};
    http_reply_json(reply, 200, spec_write(&parts));
    json_decref(messages);
    json_decref(topics);
    json_decref(map);
}

/* --- life --- */

void *spec_watch_make(const struct bus_parts *parts)
{
    static const struct http_parameter no_query[] = {{.name = NULL}};
    struct spec_watch *spec = mem_new(struct spec_watch);
    spec->parts = parts;
    pthread_mutex_init(&spec->lock, NULL);
    spec->book = spec_book_new();
    spec->route = (struct http_route){
        .method = "GET",
        .path = "/v1/spec",
        .handle = answer,
        .context = spec,
        .summary = "What goes over the bus as an AsyncAPI 3.0 document, with schemas inferred from "
                   "payloads.",
        .query = no_query,
    };
    watch_add(parts->watch, &(struct watch_sink){spec, begin, take, tick});
    return spec;
}

const struct http_route *spec_watch_routes(void *module, size_t *count)
{
    *count = 1;
    return &((struct spec_watch *)module)->route;
}

void spec_watch_free(void *module)
{
    struct spec_watch *spec = module;
    if (spec != NULL) {
        if (spec_book_is_dirty(spec->book)) {
            save(spec);
        }
        vec_deinit(&spec->known);
        spec_book_free(spec->book);
        pthread_mutex_destroy(&spec->lock);
        free(spec);
    }
}
