#include "service.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* Who handles what. */

bool name_is_plain(const char *name)
{
    size_t size = strlen(name);
    return size > 0 && size <= 249 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
               size;
}

static bool same_type(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Its pattern, when it is one. */
static enum tidings_status topic_check(const char *topic, struct pattern **pattern,
                                       struct tidings_error *error)
{
    struct reason reason;
    *pattern = NULL;
    if (topic == NULL || (topic[0] != '^' && !name_is_plain(topic))) {
        return error_set(error, TIDINGS_INVALID,
                         "a topic name is 1 to 249 letters, digits, '.', '_' or '-', or a pattern "
                         "that begins with '^'");
    }
    if (topic[0] == '^' && pattern_new(slice_str(topic), pattern, &reason) != ERR_NONE) {
        return error_set(error, TIDINGS_INVALID, "'%.100s' is no pattern: %.120s", topic,
                         reason.text);
    }
    return TIDINGS_OK;
}

/* A copy of `like`, with texts of its own, goes to the end of the list. */
static enum tidings_status add(struct tidings *service, const struct handler *like,
                               struct tidings_error *error)
{
    struct pattern *pattern;
    const char *topic = like->topic, *type = like->type;
    if (service->ran) {
        return error_set(error, TIDINGS_INVALID, "handlers are registered before tidings_run");
    }
    enum tidings_status status = topic_check(topic, &pattern, error);
    if (status == TIDINGS_OK && like->call == NULL && like->call_many == NULL) {
        status = error_set(error, TIDINGS_INVALID, "no handler given for topic %s", topic);
    }
    const struct handler *other;
    int number = 0;
    LL_FOREACH (service->handlers, other) {
        number++;
        if (status == TIDINGS_OK && strcmp(other->topic, topic) == 0 &&
            same_type(other->type, type)) {
            status =
                error_set(error, TIDINGS_INVALID, "%s events of topic %s have a handler already",
                          type ? type : "all", topic);
        }
    }
    if (status != TIDINGS_OK) {
        pattern_free(pattern);
        return status;
    }
    struct handler *added = mem_dup(like, sizeof *like);
    added->topic = mem_strdup(topic);
    added->pattern = pattern;
    added->type = mem_strdup(type);
    added->name = type != NULL ? mem_sprintf("%s %s", topic, type) : mem_strdup(topic);
    added->number = number;
    LL_APPEND(service->handlers, added);
    atomic_store(&service->meter.has_handlers, true);
    return TIDINGS_OK;
}

enum tidings_status tidings_on(struct tidings *service, const char *topic, const char *type,
                               tidings_handler_fn *handler, void *context,
                               struct tidings_error *error)
{
    struct handler like = {.topic = (char *)(uintptr_t)topic,
                           .type = (char *)(uintptr_t)type,
                           .call = handler,
                           .context = context};
    return add(service, &like, error);
}

enum tidings_status tidings_on_batch(struct tidings *service, const char *topic, const char *type,
                                     size_t most, tidings_batch_fn *handler, void *context,
                                     struct tidings_error *error)
{
    enum { MOST = 100000 };
    struct handler like = {.topic = (char *)(uintptr_t)topic,
                           .type = (char *)(uintptr_t)type,
                           .call_many = handler,
                           .most = most,
                           .context = context};
    if (most == 0 || most > MOST) {
        return error_set(error, TIDINGS_INVALID, "a batch has 1 to %d events", (int)MOST);
    }
    return add(service, &like, error);
}

void handler_free(struct handler *handler)
{
    pattern_free(handler->pattern);
    free(handler->topic);
    free(handler->type);
    free(handler->name);
    free(handler);
}

static bool is_for_topic(const struct handler *handler, const char *topic)
{
    return handler->pattern != NULL ? pattern_finds(handler->pattern, slice_str(topic))
                                    : strcmp(handler->topic, topic) == 0;
}

bool handler_has_topic(const struct tidings *service, const char *topic)
{
    const struct handler *handler = service->handlers;
    while (handler != NULL && !is_for_topic(handler, topic)) {
        handler = handler->next;
    }
    return handler != NULL;
}

/* The one that names most: the topic before a pattern, the type before every type; else the first
 * one. The list does not change any more, and needs no lock. */
static int find(const struct tidings *service, const struct event *event, const char *type)
{
    const struct handler *handler;
    int best = -1, best_rank = -1;
    LL_FOREACH (service->handlers, handler) {
        bool is_for_type =
            handler->type == NULL || (type != NULL && strcmp(handler->type, type) == 0);
        int rank = 2 * (handler->pattern == NULL) + (handler->type != NULL);
        if (rank > best_rank && is_for_type && is_for_topic(handler, event->topic)) {
            best = handler->number;
            best_rank = rank;
        }
    }
    return best;
}

int handler_number(void *context, const struct event *event)
{
    struct arena arena = {0};
    struct event from = *event;
    if (event->header_count == 0) { /* a plain one */
        return find(context, event, NULL);
    }
    (void)!event_unwrap(&from, &arena, NULL); /* one that cannot be has no type */
    int number = find(context, &from, event_attributes(&from).type);
    arena_deinit(&arena);
    return number;
}
