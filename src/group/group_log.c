#include "group/group_log.h"

#include "base/logger.h"

#include <stdio.h>

static const char *const messages[GROUP_EVENT_COUNT] = {
    [GROUP_EVENT_JOINED] = "a member joined",
    [GROUP_EVENT_RETURNED] = "a static member came back",
    [GROUP_EVENT_AWAY] = "a static member left for a while",
    [GROUP_EVENT_LEFT] = "a member left",
    [GROUP_EVENT_TIMED_OUT] = "a member timed out",
    [GROUP_EVENT_FENCED] = "a member was fenced",
    [GROUP_EVENT_REBALANCE] = "a rebalance begins",
    [GROUP_EVENT_ASSIGNED] = "partitions were assigned",
    [GROUP_EVENT_EMPTY] = "a group is empty",
    [GROUP_EVENT_CONVERTED] = "a group changed its protocol",
    [GROUP_EVENT_GONE] = "a group was deleted",
};

/* Texts of clients: so much of each is shown. */
enum { SHOWN_BYTES = 300 };

/* Adds name="text", but for null. */
static void add(char *line, size_t size, const char *name, struct slice text)
{
    size_t used = strlen(line);
    if (!slice_is_null(text)) {
        int shown = text.size < SHOWN_BYTES ? (int)text.size : SHOWN_BYTES;
        (void)snprintf(line + used, size - used, " %s=\"%.*s\"", name, shown,
                       (const char *)text.data);
    }
}

static void write_line(const struct group_event *event)
{
    char more[5 * (SHOWN_BYTES + 20)] = "";
    add(more, sizeof more, "member", event->who.member_id);
    add(more, sizeof more, "instance", event->who.instance_id);
    add(more, sizeof more, "client", event->who.client_id);
    add(more, sizeof more, "host", event->who.client_host);
    add(more, sizeof more, event->kind == GROUP_EVENT_RETURNED ? "former" : "reason",
        event->reason);
    LOG_INFO("group", messages[event->kind], "group=\"%.*s\" generation=%d members=%zu%s",
             SLICE_ARGS(event->group_id), (int)event->generation, event->member_count, more);
}

void group_log_events(struct group_effects *effects)
{
    struct group_event *event = effects->events;
    effects->events = NULL;
    effects->last_event = NULL;
    while (event != NULL) {
        struct group_event *next = event->next;
        write_line(event);
        group_event_free(event);
        event = next;
    }
}
