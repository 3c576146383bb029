#include "group/group_state.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

struct slice kept_copy(struct slice slice)
{
    if (slice_is_null(slice)) {
        return slice;
    }
    return slice_of(mem_dup(slice.data, slice.size), slice.size);
}

void kept_free(struct slice *kept)
{
    free((void *)(uintptr_t)kept->data);
    *kept = (struct slice){0};
}

void kept_set(struct slice *kept, struct slice value)
{
    struct slice copy = kept_copy(value); /* first: value may lie in what is freed */
    kept_free(kept);
    *kept = copy;
}

struct slice slice_or_empty(struct slice slice)
{
    return slice_is_null(slice) ? slice_str("") : slice;
}

void group_set_state(struct group *group, enum group_state state, struct clock_time now)
{
    group->state = state;
    group->state_since_wall_ms = now.wall_ms;
}

void group_wake_by(struct group *group, int64_t deadline_ms)
{
    if (deadline_ms < group->wake_ms) {
        group->wake_ms = deadline_ms;
    }
}

struct group_change group_change_of(const struct group *group, enum group_record_kind kind,
                                    struct slice name)
{
    return (struct group_change){.key = {.kind = kind, .group_id = group->id, .name = name}};
}

void group_store_tombstone(const struct group *group, struct group_store *store,
                           enum group_record_kind kind, struct slice name)
{
    struct group_change change = group_change_of(group, kind, name);
    change.gone = true;
    group_change_store(&change, store);
}

struct group_event *group_tell(const struct group *group, struct group_effects *effects,
                               enum group_event_kind kind, const struct group_who *who,
                               const char *reason)
{
    static const struct group_who nobody;
    struct group_event *event =
        group_event_new(kind, who != NULL ? who : &nobody, slice_str(reason));
    event->group_id = group_arena_slice(&event->arena, group->id);
    event->generation = group->kind->generation(group);
    event->member_count = group->kind->member_count(group);
    group_effects_event(effects, event);
    return event;
}

void group_tell_fenced(const struct group *group, struct group_effects *effects,
                       const struct group_who *who, const char *api)
{
    char reason[96];
    (void)snprintf(reason, sizeof reason, "%s was refused: its instance id is another member's",
                   api);
    struct group_event *event = group_tell(group, effects, GROUP_EVENT_FENCED, who, reason);
    event->other = group_arena_slice(&event->arena, group->kind->holder(group, who->instance_id));
}

void group_event_say(struct group_event *event, struct slice said)
{
    if (said.size > 0) {
        event->said = group_arena_slice(&event->arena, said);
    }
}
