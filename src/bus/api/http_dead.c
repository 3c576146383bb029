#include "bus/api/http_dead_inside.h"

#include "base/mem.h"
#include "bus/dead/dead_group.h"
#include "bus/event/json_word.h"

#include <stdlib.h>
#include <string.h>

/* --- by cause --- */

enum { CAUSES_MAX = 500 };

static bool take_cause(void *context, const struct dead_seen *seen)
{
    dead_groups_add(context, seen);
    return true;
}

static json_t *cause_json(const struct dead_group *group)
{
    json_t *states = json_object();
    for (int state = 0; state < DEAD_STATES; state++) {
        if (group->states[state] > 0) {
            json_object_set_new(states, dead_state_name((enum dead_state)state),
                                json_integer((json_int_t)group->states[state]));
        }
    }
    json_t *json =
        json_pack("{s:s,s:o,s:o,s:I,s:I,s:o,s:I}", "cause", group->cause, "class",
                  json_utf8(group->error_class), "message", json_utf8(group->message), "open",
                  (json_int_t)(group->states[DEAD_OPEN] + group->states[DEAD_AGAIN]), "events",
                  (json_int_t)group->count, "states", states, "closed_lanes",
                  (json_int_t)group->lanes_closed);
    dead_set_time(json, "first", group->first_ms);
    dead_set_time(json, "last", group->last_ms);
    return json;
}

static json_t *causes_json(struct dead_ask *ask, struct dead_groups *groups)
{
    struct dead_group *group, *next;
    json_t *list = json_array();
    int64_t left_out = groups->left_out;
    dead_groups_sort(groups);
    HASH_ITER (hh, groups->all, group, next) {
        if (json_array_size(list) < CAUSES_MAX) {
            json_array_append_new(list, cause_json(group));
        } else {
            left_out += group->count;
        }
    }
    return json_pack("{s:o,s:s,s:b,s:o,s:I,s:I,s:s}", "group", json_utf8(ask->group), "topic",
                     ask->view.dlq_topic, "has_lanes", (int)ask->view.has_lanes, "causes", list,
                     "events", (json_int_t)groups->total, "left_out", (json_int_t)left_out,
                     "stopped", dead_ask_stopped(ask));
}

static void say_causes(void *context, const struct http_request *request, struct http_reply *reply)
{
    struct dead_ask ask;
    struct dead_groups groups = {.by = DEAD_BY_CAUSE};
    if (dead_ask_open(&ask, context, request, NULL, reply) &&
        dead_ask_each(&ask, take_cause, &groups, reply)) {
        http_reply_json(reply, 200, causes_json(&ask, &groups));
    }
    dead_groups_deinit(&groups);
    dead_ask_close(&ask);
}

/* --- letters of a cause --- */

enum { LETTERS = 100, LETTERS_MAX = 500 };

struct letter {
    struct dead_place place;
    json_t *json;
};

/* A page of them: the first ones behind a place, in the order of their places. */
struct letters {
    struct dead_place after;
    size_t limit;
    VEC(struct letter) list;
    bool has_more;
};

static int compare_places(struct dead_place a, struct dead_place b)
{
    if (a.partition != b.partition) {
        return a.partition < b.partition ? -1 : 1;
    }
    return a.offset < b.offset ? -1 : a.offset > b.offset;
}

/* Where it belongs; SIZE_MAX: beyond the page. */
static size_t place_in(const struct letters *letters, struct dead_place place)
{
    size_t at = letters->list.count;
    while (at > 0 && compare_places(letters->list.items[at - 1].place, place) > 0) {
        at--;
    }
    return at < letters->limit ? at : SIZE_MAX;
}

static bool take_letter(void *context, const struct dead_seen *seen)
{
    struct letters *letters = context;
    struct dead_place place = seen->subject.letter->place;
    if (compare_places(place, letters->after) <= 0) {
        return true;
    }
    size_t at = place_in(letters, place);
    letters->has_more |= letters->list.count == letters->limit;
    if (at == SIZE_MAX) {
        return true;
    }
    if (letters->list.count == letters->limit) {
        json_decref(letters->list.items[--letters->list.count].json);
    }
    vec_push(&letters->list, (struct letter){.json = NULL});
    memmove(letters->list.items + at + 1, letters->list.items + at,
            (letters->list.count - 1 - at) * sizeof *letters->list.items);
    letters->list.items[at] = (struct letter){place, dead_seen_to_json(seen)};
    return true;
}

static json_t *letters_json(struct dead_ask *ask, struct letters *letters)
{
    char next[DEAD_PLACE_SIZE] = "";
    json_t *list = json_array();
    for (size_t i = 0; i < letters->list.count; i++) {
        json_array_append_new(list, letters->list.items[i].json);
    }
    if (letters->has_more && !ask->is_late) {
        dead_place_text(letters->list.items[letters->list.count - 1].place, next);
    }
    letters->list.count = 0;
    return json_pack("{s:o,s:b,s:o,s:o,s:s}", "group", json_utf8(ask->group), "has_lanes",
                     (int)ask->view.has_lanes, "letters", list, "next",
                     json_utf8(next[0] != '\0' ? next : NULL), "stopped", dead_ask_stopped(ask));
}

static void say_letters(void *context, const struct http_request *request, struct http_reply *reply)
{
    struct dead_ask ask;
    struct letters letters = {.after = {-1, -1}};
    const char *after = http_query(request, "after");
    int64_t limit;
    if (!http_query_number(request, reply, "limit", 1, LETTERS_MAX, LETTERS, &limit)) {
        return;
    }
    if (after != NULL && !dead_place_parse(after, &letters.after)) {
        http_problem(reply, 400, "Bad parameter",
                     "after=%s is no place of a dead letter, such as 3:41", after);
        return;
    }
    letters.limit = (size_t)limit;
    if (dead_ask_open(&ask, context, request, http_segment(request, "cause"), reply) &&
        dead_ask_each(&ask, take_letter, &letters, reply)) {
        http_reply_json(reply, 200, letters_json(&ask, &letters));
    }
    for (size_t i = 0; i < letters.list.count; i++) {
        json_decref(letters.list.items[i].json);
    }
    vec_deinit(&letters.list);
    dead_ask_close(&ask);
}

/* --- the module --- */

static void add_routes(struct http_dead *module)
{
    static const struct http_parameter none[] = {{0}};
    static const struct http_parameter page[] = {
        {"after", "string", "Those behind this place of a letter, as `next` says."},
        {"limit", "integer", "At most so many, up to 500 (100)."},
        {0}};
    static const char limits[] =
        "All that is known of the group is read for it: for up to 6 s, of up to 100000 events; "
        "`stopped` says whether it was all (complete) or why not (time, events): then states may "
        "be older than they are, and `tidings deadletter list` has all.";
    http_dead_add(module, &(struct http_route){.method = "GET",
                                               .path = "/v1/groups/{group}/dead-letters",
                                               .handle = say_causes,
                                               .summary = "What the group gave up, by cause.",
                                               .query = none,
                                               .detail = limits});
    http_dead_add(module, &(struct http_route){.method = "GET",
                                               .path = "/v1/groups/{group}/dead-letters/{cause}",
                                               .handle = say_letters,
                                               .summary = "The dead letters of one cause.",
                                               .query = page,
                                               .detail = limits});
    http_dead_redrive(module);
    http_dead_discard(module);
    http_dead_lanes(module);
}

void *http_dead_make(const struct bus_parts *parts)
{
    struct http_dead *module = mem_new(struct http_dead);
    char *path = mem_sprintf("%s/redrives.json", parts->dir);
    module->parts = parts;
    module->redriver = redriver_new(parts->connection, path);
    free(path);
    add_routes(module);
    return module;
}

const struct http_route *http_dead_routes(void *context, size_t *count)
{
    struct http_dead *module = context;
    *count = module->route_count;
    return module->routes;
}

void http_dead_free(void *context)
{
    struct http_dead *module = context;
    if (module != NULL) {
        redriver_free(module->redriver);
        free(module);
    }
}
