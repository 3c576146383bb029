#include "bus/api/http_dead_inside.h"

#include "bus/dead/dead_discard.h"
#include "bus/event/json_word.h"

#include <string.h>

enum { BODY_MAX = 64 * 1024, WHY_MAX = 1000 };

/* What a request says. */
struct wish {
    json_t *json;
    const char *cause, *why, *lanes; /* NULL: not said */
    int is_dry, is_undo;             /* as json_unpack wants truth values */
    json_int_t events;               /* that were shown before; -1: none were */
};

static bool read_wish(const struct http_request *request, struct wish *wish,
                      struct http_reply *reply)
{
    struct slice body = http_body(request);
    json_error_t error;
    *wish = (struct wish){
        .json = json_loadb((const char *)body.data, body.size, JSON_REJECT_DUPLICATES, &error),
        .events = -1};
    int code =
        wish->json == NULL
            ? -1
            : json_unpack_ex(wish->json, &error, JSON_STRICT, "{s:s,s?s,s?s,s?b,s?b,s?I}", "cause",
                             &wish->cause, "why", &wish->why, "lanes", &wish->lanes, "dry_run",
                             &wish->is_dry, "undo", &wish->is_undo, "events", &wish->events);
    bool has_why =
        code == 0 && wish->why != NULL && wish->why[strspn(wish->why, " \t\r\n")] != '\0';
    if (code == 0 && (has_why || wish->is_dry || wish->is_undo) &&
        (wish->why == NULL || strlen(wish->why) <= WHY_MAX) &&
        (wish->lanes == NULL || strcmp(wish->lanes, "open") == 0 ||
         strcmp(wish->lanes, "leave") == 0)) {
        return true;
    }
    http_problem(reply, 400, "Bad discard",
                 "the body is a JSON object with \"cause\" (of /dead-letters) and \"why\", the "
                 "reason, up to %d bytes; it may have \"dry_run\": true, \"undo\": true (both "
                 "need no reason), \"lanes\": \"open\" or \"leave\", and \"events\", how many a "
                 "dry run said%s%s",
                 WHY_MAX, code != 0 ? ": " : "", code != 0 ? error.text : "");
    return false;
}

static bool take(void *context, const struct dead_seen *seen)
{
    dead_discards_take(context, seen);
    return true;
}

static void say(const struct dead_ask *ask, const struct dead_discards *discards,
                const struct wish *wish, struct http_reply *reply)
{
    bool opens = !wish->is_dry && !discards->is_undo;
    json_t *json =
        json_pack("{s:o,s:s,s:b,s:b,s:I,s:I,s:I}", "group", json_utf8(ask->group), "cause",
                  wish->cause, "executed", !wish->is_dry, "undone", (int)discards->is_undo,
                  "events", (json_int_t)discards->list.count, "passed_over",
                  (json_int_t)discards->passed, "closed_lanes", (json_int_t)discards->lanes);
    json_object_set_new(
        json, "lanes",
        opens ? json_pack("{s:I,s:I,s:I}", "opened",
                          (json_int_t)dead_discards_opened(discards, DEAD_OPENED), "to_be_opened",
                          (json_int_t)dead_discards_opened(discards, DEAD_TO_BE_OPENED), "closed",
                          (json_int_t)dead_discards_opened(discards, DEAD_NOT_OPENED))
              : json_null());
    http_reply_json(reply, 200, json);
}

/* What is written down is what was shown. */
static bool is_as_shown(const struct dead_discards *discards, const struct wish *wish,
                        struct http_reply *reply)
{
    if (wish->events < 0 || wish->events == (json_int_t)discards->list.count) {
        return true;
    }
    http_problem(reply, 409, "There are others now",
                 "%zu events are of this cause now and can be, and not %lld as were shown: look "
                 "again. Nothing was done",
                 discards->list.count, (long long)wish->events);
    return false;
}

static void do_discard(void *context, const struct http_request *request, struct http_reply *reply)
{
    struct http_dead *module = context;
    struct wish wish;
    struct dead_ask ask;
    struct client_error error;
    char who[DEAD_WHO_BYTES];
    dead_ask_who(request, who);
    if (read_wish(request, &wish, reply)) {
        struct dead_discards discards = {.is_undo = wish.is_undo != 0};
        bool opens_lanes = wish.lanes == NULL || strcmp(wish.lanes, "open") == 0;
        if (dead_ask_open(&ask, module, request, wish.cause, reply) &&
            dead_ask_each(&ask, take, &discards, reply) && http_dead_is_whole(&ask, reply) &&
            is_as_shown(&discards, &wish, reply)) {
            if (wish.is_dry || discards.list.count == 0 ||
                dead_discards_do(&discards, module->parts->connection, ask.group, who, wish.why,
                                 opens_lanes, &error) == CLIENT_OK) {
                say(&ask, &discards, &wish, reply);
            } else {
                http_api_fail(reply, &error,
                              "not all of it was written down; it may be said again");
            }
        }
        dead_ask_close(&ask);
        dead_discards_deinit(&discards);
    }
    json_decref(wish.json);
}

void http_dead_discard(struct http_dead *module)
{
    static const struct http_parameter none[] = {{0}};
    http_dead_add(
        module,
        &(struct http_route){
            .method = "POST",
            .path = "/v1/groups/{group}/discards",
            .handle = do_discard,
            .summary = "Say that dead letters of a cause are not to be tried again.",
            .query = none,
            .body_max = BODY_MAX,
            .detail = "The body is JSON: `cause`, and `why`, the reason; with `dry_run` (true) it "
                      "is answered how many that would be, with `undo` (true) they are open again. "
                      "With `events`, the number of a dry run, nothing is done (409) when there "
                      "are others by now. Nothing is deleted. A lane that is closed because of one "
                      "is opened without it, but with `lanes`: `leave`. It is what `tidings "
                      "deadletter discard` does."});
}
