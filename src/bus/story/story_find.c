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

static void read_ahead(struct indexer *indexer, const struct story_term *terms, size_t count)
{
    struct event_term *plain = mem_new_array(struct event_term, count + 1);
    for (size_t i = 0; i < count; i++) {
        plain[i] = terms[i].term;
    }
    indexer_ahead(indexer, plain, count);
    free(plain);
}

static enum client_status find_in_index(
    void *context, const struct story_term *terms, size_t count, size_t most, int64_t deadline_ms,
    bool (*found)(void *found_context, const struct index_place *place), void *found_context,
    bool *is_cut, struct client_error *error)
{
    struct reason reason;
    bool goes_on = true;
    (void)deadline_ms; /* a question takes no time */
    read_ahead(context, terms, count);
    for (size_t i = 0; i < count && goes_on; i++) {
        struct event_places places = {0};
        enum err err = indexer_find(context, &terms[i].term, most, &places, &reason);
        for (size_t k = 0; k < places.items.count && goes_on; k++) {
            const struct index_place *place = &places.items.items[k];
            goes_on = !is_wanted(&terms[i], place) || found(found_context, place);
        }
        *is_cut |= places.is_cut;
        event_places_deinit(&places);
        if (err != ERR_NONE) {
            return client_fail(error, CLIENT_REFUSED,
                               "it is made again by itself: ask again in a while",
                               "the index of events cannot be read: %s", reason.text);
        }
    }
    return CLIENT_OK;
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
