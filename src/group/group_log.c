#include "group/group_log.h"

#include "base/logfmt.h"
#include "base/logger.h"

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

/* But for null. */
static void add(struct buf *pairs, const char *name, struct slice text)
{
    if (!slice_is_null(text)) {
        logfmt_pair(pairs, name, text);
    }
}

static void write_line(const struct group_event *event, enum log_level level, const char *message)
{
    struct buf pairs = {0};
    logfmt_pair(&pairs, "group", event->group_id);
    buf_printf(&pairs, " generation=%d members=%zu", (int)event->generation, event->member_count);
    add(&pairs, "member", event->who.member_id);
    add(&pairs, "instance", event->who.instance_id);
    add(&pairs, event->kind == GROUP_EVENT_RETURNED ? "former" : "holder", event->other);
    add(&pairs, "reason", event->reason);
    add(&pairs, "client", event->who.client_id);
    add(&pairs, "host", event->who.client_host);
    add(&pairs, "said", event->said);
    logger_pairs(level, "group", message, &pairs);
    buf_deinit(&pairs);
}

void group_log_events(struct group_effects *effects)
{
    struct group_event *event = effects->events;
    effects->events = NULL;
    effects->last_event = NULL;
    while (event != NULL) {
        struct group_event *next = event->next;
        if (event->kind == GROUP_EVENT_FULL) {
            write_line(event, LOG_LEVEL_WARN,
                       "a group's request was refused: there is no room for it");
        } else {
            write_line(event, LOG_LEVEL_INFO, messages[event->kind]);
        }
        group_event_free(event);
        event = next;
    }
}
