#include "bus/dead/dead_group.h"

#include "base/mem.h"
#include "base/siphash.h"
#include "base/time_text.h"

#include <stdlib.h>
#include <string.h>

static const char *const words[] = {"cause", "class", "type", "key", "handler", "topic", "day"};

bool dead_by_parse(const char *word, enum dead_by *by)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(words[i], word) == 0) {
            *by = (enum dead_by)i;
            return true;
        }
    }
    return false;
}

/* At most DEAD_SHOWN_BYTES, and no NUL; NULL for the null slice. */
static char *shown(struct slice text)
{
    if (slice_is_null(text)) {
        return NULL;
    }
    size_t size = text.size < DEAD_SHOWN_BYTES ? text.size : DEAD_SHOWN_BYTES;
    return mem_strndup((const char *)text.data, size);
}

/* What the event is grouped by; day: room for a day. */
static struct slice name_of(enum dead_by by, const struct dead_seen *seen, char day[TIME_TEXT_SIZE])
{
    enum { DAY_SIZE = 10 };
    const struct dead_letter *letter = seen->subject.letter;
    switch (by) {
    case DEAD_BY_CAUSE:
        return slice_str(letter->fingerprint);
    case DEAD_BY_CLASS:
        return letter->error_class;
    case DEAD_BY_TYPE:
        return letter->type;
    case DEAD_BY_KEY:
        return letter->event->key;
    case DEAD_BY_HANDLER:
        return letter->handler;
    case DEAD_BY_TOPIC:
        return letter->topic;
    case DEAD_BY_DAY:
        return letter->died_ms < 0 ? (struct slice){0}
                                   : slice_of(time_format(letter->died_ms, day), DAY_SIZE);
    }
    return (struct slice){0};
}

static struct dead_group *reach(struct dead_groups *groups, struct slice name)
{
    static const struct siphash_key key = {0};
    struct siphash128 hash = siphash128(&key, name.data, name.size);
    uint64_t id[2] = {hash.low, hash.high ^ (uint64_t)slice_is_null(name)};
    struct dead_group *group;
    HASH_FIND(hh, groups->all, id, sizeof id, group);
    if (group == NULL && HASH_COUNT(groups->all) < DEAD_GROUPS_MAX) {
        group = mem_new(struct dead_group);
        memcpy(group->name_hash, id, sizeof id);
        group->is_known = !slice_is_null(name);
        group->name = shown(name);
        group->newest_ms = group->first_ms = group->last_ms = -1;
        HASH_ADD(hh, groups->all, name_hash, sizeof group->name_hash, group);
    }
    return group;
}

static void add_type(struct dead_group *group, struct slice type)
{
    char *text = shown(type);
    for (size_t i = 0; text != NULL && i < group->type_count; i++) {
        if (strcmp(group->types[i], text) == 0) {
            free(text);
            text = NULL;
        }
    }
    if (text != NULL && group->type_count < DEAD_TYPES_MAX) {
        group->types[group->type_count++] = text;
    } else if (text != NULL) {
        group->has_more_types = true;
        free(text);
    }
}

void dead_groups_add(struct dead_groups *groups, const struct dead_seen *seen)
{
    char day[TIME_TEXT_SIZE];
    const struct dead_letter *letter = seen->subject.letter;
    struct dead_group *group = reach(groups, name_of(groups->by, seen, day));
    groups->total++;
    if (group == NULL) {
        groups->left_out++;
        return;
    }
    if (group->count == 0 || letter->died_ms >= group->newest_ms) {
        group->newest_ms = letter->died_ms;
        memcpy(group->cause, letter->fingerprint, sizeof group->cause);
        free(group->error_class);
        free(group->message);
        group->error_class = shown(letter->error_class);
        group->message = shown(letter->message);
    }
    group->count++;
    group->states[seen->state]++;
    group->lanes_closed += seen->closes_lane;
    int64_t first_ms = seen->its->first_died_ms;
    if (first_ms >= 0 && (group->first_ms < 0 || first_ms < group->first_ms)) {
        group->first_ms = first_ms;
    }
    group->last_ms = letter->died_ms > group->last_ms ? letter->died_ms : group->last_ms;
    add_type(group, letter->type);
}

static int64_t needs_hands(const struct dead_group *group)
{
    return group->states[DEAD_OPEN] + group->states[DEAD_AGAIN];
}

static int compare(const struct dead_group *a, const struct dead_group *b)
{
    int64_t more = needs_hands(b) - needs_hands(a);
    more = more != 0 ? more : b->count - a->count;
    more = more != 0 ? more : memcmp(a->name_hash, b->name_hash, sizeof a->name_hash);
    return (more > 0) - (more < 0);
}

void dead_groups_sort(struct dead_groups *groups)
{
    HASH_SORT(groups->all, compare);
}

void dead_groups_deinit(struct dead_groups *groups)
{
    struct dead_group *group, *next;
    HASH_ITER (hh, groups->all, group, next) {
        HASH_DELETE(hh, groups->all, group);
        for (size_t i = 0; i < group->type_count; i++) {
            free(group->types[i]);
        }
        free(group->name);
        free(group->error_class);
        free(group->message);
        free(group);
    }
}
