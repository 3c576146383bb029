#include "bus/story/story_find.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

bool story_is_inner_topic(const char *topic)
{
    static const char *const prefixes[] = {"__", "dlq.", "dlq-state.", "lanes."};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        if (strncmp(topic, prefixes[i], strlen(prefixes[i])) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_wanted(const struct story_term *term, const struct index_place *place)
{
    return term->topic != NULL ? strcmp(term->topic, place->topic) == 0
                               : !story_is_inner_topic(place->topic);
}

struct finding {
    const struct story_term *terms;
    bool (*found)(void *context, const struct index_place *place);
    void *context;
    bool *is_cut;
};

static bool take_places(void *context, size_t term, struct event_places *places)
{
    const struct finding *finding = context;
    bool goes_on = true;
    for (size_t i = 0; i < places->items.count && goes_on; i++) {
        const struct index_place *place = &places->items.items[i];
        goes_on =
            !is_wanted(&finding->terms[term], place) || finding->found(finding->context, place);
    }
    *finding->is_cut |= places->is_cut;
    return goes_on;
}

static enum client_status find_in_index(
    void *context, const struct story_term *terms, size_t count, size_t most, int64_t deadline_ms,
    bool (*found)(void *found_context, const struct index_place *place), void *found_context,
    bool *is_cut, struct client_error *error)
{
    struct reason reason;
    struct finding finding = {terms, found, found_context, is_cut};
    struct event_term *plain = mem_new_array(struct event_term, count + 1);
    (void)deadline_ms; /* a question takes no time */
    for (size_t i = 0; i < count; i++) {
        plain[i] = terms[i].term;
    }
    enum err err = indexer_find(context, plain, count, most, take_places, &finding, &reason);
    free(plain);
    return err == ERR_NONE ? CLIENT_OK
                           : client_fail(error, CLIENT_REFUSED,
                                         "it is made again by itself: ask again in a while",
                                         "the index of events cannot be read: %s", reason.text);
}

static int64_t index_until(void *context, bool *is_whole)
{
    enum { CATCH_UP_MS = 250 };
    (void)indexer_catch_up(context, CATCH_UP_MS); /* else the answer says how old it is */
    struct indexer_state state = indexer_state(context);
    *is_whole = state.level_ms > 0;
    return state.level_ms;
}

static bool leaves_out(void *context, const char *topic)
{
    return !indexer_wants(context, topic);
}

struct story_finder story_finder_of_index(struct indexer *indexer)
{
    return (struct story_finder){find_in_index, index_until, leaves_out, indexer};
}
