#include "service.h"

#include "base/mem.h"

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

enum tidings_status tidings_on(struct tidings *service, const char *topic, const char *type,
                               tidings_handler_fn *handler, void *context,
                               struct tidings_error *error)
{
    if (topic == NULL || !name_is_plain(topic)) {
        return error_set(error, TIDINGS_INVALID,
                         "a topic name is 1 to 249 letters, digits, '.', '_' or '-'");
    }
    if (handler == NULL) {
        return error_set(error, TIDINGS_INVALID, "no handler given for topic %s", topic);
    }
    if (service->ran) {
        return error_set(error, TIDINGS_INVALID, "handlers are registered before tidings_run");
    }
    const struct handler *other;
    int number = 0;
    LL_FOREACH (service->handlers, other) {
        number++;
        if (strcmp(other->topic, topic) == 0 && same_type(other->type, type)) {
            return error_set(error, TIDINGS_INVALID, "%s events of topic %s have a handler already",
                             type ? type : "all", topic);
        }
    }
    struct handler *added = mem_new(struct handler);
    added->topic = mem_strdup(topic);
    added->type = mem_strdup(type);
    added->name = type != NULL ? mem_sprintf("%s %s", topic, type) : mem_strdup(topic);
    added->call = handler;
    added->context = context;
    added->number = number;
    LL_APPEND(service->handlers, added);
    return TIDINGS_OK;
}

/* Numbers are in the order of the list, so that it can be gone through without a lock. */
static int find(const struct tidings *service, const struct event *event, const char *type)
{
    const struct handler *handler;
    int general = -1;
    LL_FOREACH (service->handlers, handler) {
        if (strcmp(handler->topic, event->topic) != 0) {
            continue;
        }
        if (handler->type == NULL) {
            general = handler->number;
        } else if (type != NULL && strcmp(handler->type, type) == 0) {
            return handler->number;
        }
    }
    return general;
}

int handler_number(void *context, const struct event *event)
{
    struct arena arena = {0};
    struct event from = *event;
    (void)!event_unwrap(&from, &arena, NULL); /* one that cannot be has no type */
    int number = find(context, &from, event_attributes(&from).type);
    arena_deinit(&arena);
    return number;
}
