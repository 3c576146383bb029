#include "group/group_log.h"

#include "base/buf.h"
#include "base/logger.h"
#include "base/utf8.h"

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

/* Adds name="text", but for null. */
static void add(struct buf *line, const char *name, struct slice text)
{
    if (!slice_is_null(text)) {
        buf_printf(line, " %s=%s", name, utf8_quoted(text).text);
    }
}

static void write_line(const struct group_event *event)
{
    struct buf line = {0};
    buf_printf(&line, "group=%s generation=%d members=%zu", utf8_quoted(event->group_id).text,
               (int)event->generation, event->member_count);
    add(&line, "member", event->who.member_id);
    add(&line, "instance", event->who.instance_id);
    add(&line, event->kind == GROUP_EVENT_RETURNED ? "former" : "holder", event->other);
    add(&line, "reason", event->reason);
    add(&line, "client", event->who.client_id);
    add(&line, "host", event->who.client_host);
    add(&line, "said", event->said);
    LOG_INFO("group", messages[event->kind], "%.*s", (int)line.size, (const char *)line.data);
    buf_deinit(&line);
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
