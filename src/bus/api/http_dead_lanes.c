#include "bus/api/http_dead_inside.h"

#include "base/clock.h"
#include "bus/dead/lane_view.h"
#include "bus/event/json_word.h"
#include "client/lane_kafka/lane_word.h"

#include <stdio.h>
#include <string.h>

/* Open lanes of a group, and words to their owners, as `tidings lanes` says them. */

enum {
    LANES_MAX = 500,       /* in one answer */
    RECORDS_MAX = 1000000, /* of lanes.<group> that are read */
    WORD_MS = 5000,        /* for its owner to answer */
    STEP_MS = 50,
    BODY_MAX = 16 * 1024,
    WHY_MAX = 1000 /* client/lane_kafka/lane_word.h */
};

/* --- looking --- */

struct looking {
    int64_t until_ms;
    bool is_late;
};

static bool on_progress(void *context, int64_t done, int64_t total)
{
    struct looking *looking = context;
    (void)total;
    looking->is_late |=
        clock_mono_ms(clock_system()) >= looking->until_ms || done > (int64_t)RECORDS_MAX;
    return !looking->is_late;
}

/* False: the reply says why it could not. The view is to be deinited in any case. */
static bool look(struct http_dead *module, const char *group, struct lane_view *view,
                 bool *is_whole, struct http_reply *reply)
{
    struct client_error error;
    struct looking looking = {.until_ms = clock_mono_ms(clock_system()) + DEAD_READ_MS};
    const struct lane_view_settings settings = {.connection = module->parts->connection,
                                                .group = group,
                                                .progress = on_progress,
                                                .context = &looking};
    *view = (struct lane_view){0};
    enum client_status status = lane_view_load(view, &settings, &error);
    *is_whole = !looking.is_late;
    if (status == CLIENT_NOT_FOUND) {
        http_problem(reply, 404, "Not found",
                     "group '%s' has no lanes: its service is not made with libtidings, or "
                     "nothing of it ever waited",
                     group);
    } else if (status != CLIENT_OK) {
        http_api_fail(reply, &error, "the lanes could not be read");
    }
    return status == CLIENT_OK;
}

static void say_lanes(void *context, const struct http_request *request, struct http_reply *reply)
{
    struct lane_view view;
    bool is_whole;
    const char *group = http_segment(request, "group");
    if (look(context, group, &view, &is_whole, reply)) {
        json_t *list = json_array();
        for (size_t i = 0; i < view.lanes.count && i < LANES_MAX; i++) {
            json_array_append_new(list, lane_seen_to_json(&view.lanes.items[i]));
        }
        http_reply_json(reply, 200,
                        json_pack("{s:o,s:o,s:I,s:I,s:s}", "group", json_utf8(group), "lanes", list,
                                  "count", (json_int_t)view.lanes.count, "words_without_answer",
                                  (json_int_t)view.open_words, "stopped",
                                  is_whole ? "complete" : "time"));
    }
    lane_view_deinit(&view);
}

/* --- saying --- */

struct wish {
    json_t *json;
    const char *verb, *topic, *why;
    json_int_t partition, head;
    enum lane_verb is;
};

static bool read_wish(const struct http_request *request, struct wish *wish,
                      struct http_reply *reply)
{
    static const enum lane_verb verbs[] = {LANE_SAY_RETRY, LANE_SAY_SKIP, LANE_SAY_HOLD,
                                           LANE_SAY_RELEASE};
    struct slice body = http_body(request);
    *wish = (struct wish){.json = json_loadb((const char *)body.data, body.size, 0, NULL)};
    int code = json_unpack_ex(wish->json, NULL, JSON_STRICT, "{s:s,s:s,s:I,s:I,s?s}", "verb",
                              &wish->verb, "topic", &wish->topic, "partition", &wish->partition,
                              "head", &wish->head, "why", &wish->why);
    for (size_t i = 0; code == 0 && i < sizeof verbs / sizeof verbs[0]; i++) {
        wish->is = strcmp(wish->verb, lane_verb_name(verbs[i])) == 0 ? verbs[i] : wish->is;
    }
    if (code == 0 && wish->is != 0 && (wish->why == NULL || strlen(wish->why) <= WHY_MAX)) {
        return true;
    }
    http_problem(reply, 400, "Bad word",
                 "the body is a JSON object with \"verb\" (retry, skip, hold or release), "
                 "\"topic\", \"partition\" and \"head\" of a lane as GET tells them, and may "
                 "have \"why\", of at most %d bytes",
                 WHY_MAX);
    return false;
}

/* NULL: there is none. */
static const struct lane_seen *find(const struct lane_view *view, const struct wish *wish)
{
    for (size_t i = 0; i < view->lanes.count; i++) {
        const struct lane_seen *lane = &view->lanes.items[i];
        if (lane->head == wish->head && lane->head >= 0 && lane->partition == wish->partition &&
            strcmp(lane->topic, wish->topic) == 0) {
            return lane;
        }
    }
    return NULL;
}

struct hearing {
    bool is_ended;
    enum lane_outcome outcome; /* 0: none */
    char text[512];
};

static void on_reply(void *context, const struct lane_reply *reply)
{
    struct hearing *hearing = context;
    hearing->is_ended = true;
    if (reply->answer != NULL) {
        hearing->outcome = reply->answer->outcome;
        snprintf(hearing->text, sizeof hearing->text, "%.*s", SLICE_ARGS(reply->answer->text));
    } else if (reply->error->status != CLIENT_CLOSED) {
        snprintf(hearing->text, sizeof hearing->text, "%s", reply->error->text);
    }
}

/* Sends it, and waits for an answer for a while; without one it stays until an owner comes. */
static enum client_status say(struct http_dead *module, const char *group,
                              const struct lane_seen *lane, const struct wish *wish,
                              const char *who, struct hearing *hearing, struct client_error *error)
{
    struct lane_words *words = NULL;
    const struct lane_words_settings settings = {.connection = *module->parts->connection,
                                                 .group = group,
                                                 .replied = on_reply,
                                                 .context = hearing};
    const struct lane_word word = {.verb = wish->is,
                                   .name = lane->name,
                                   .head = wish->is == LANE_SAY_SKIP ? lane->head : -1,
                                   .who = slice_str(who),
                                   .why = slice_str(wish->why != NULL ? wish->why : "")};
    int64_t until_ms = clock_mono_ms(clock_system()) + WORD_MS;
    enum client_status status = lane_words_open(&settings, &words, error);
    if (status == CLIENT_OK) {
        status = lane_words_send(words, lane->topic, lane->partition, &word, NULL, error);
    }
    while (status == CLIENT_OK && !hearing->is_ended && clock_mono_ms(clock_system()) < until_ms) {
        status = lane_words_serve(words, STEP_MS, error);
    }
    if (status == CLIENT_OK && !hearing->is_ended && lane_words_unwritten(words) > 0) {
        status = client_fail(error, CLIENT_TIMED_OUT, "try again: a word has the effect of one",
                             "the bus has not said that it keeps the word");
    }
    lane_words_close(words);
    return status;
}

static void reply_outcome(const struct wish *wish, const struct hearing *hearing,
                          struct http_reply *reply)
{
    bool is_heard = hearing->outcome != 0;
    http_reply_json(
        reply, is_heard ? 200 : 202,
        json_pack("{s:s,s:s,s:o}", "verb", wish->verb, "outcome",
                  is_heard ? lane_outcome_name(hearing->outcome) : "no answer", "text",
                  json_utf8(is_heard ? hearing->text
                            : hearing->text[0] != '\0'
                                ? hearing->text
                                : "it stays, and is carried out when the owner comes to it")));
}

static void do_say(void *context, const struct http_request *request, struct http_reply *reply)
{
    struct http_dead *module = context;
    const char *group = http_segment(request, "group");
    struct wish wish;
    struct lane_view view = {0};
    struct hearing hearing = {0};
    struct client_error error;
    bool is_whole;
    char who[DEAD_WHO_BYTES];
    dead_ask_who(request, who);
    if (read_wish(request, &wish, reply) && look(module, group, &view, &is_whole, reply)) {
        const struct lane_seen *lane = find(&view, &wish);
        if (lane == NULL) {
            http_problem(reply, 404, "Not found",
                         "group '%s' has no open lane with its head at %s:%lld:%lld%s", group,
                         wish.topic, (long long)wish.partition, (long long)wish.head,
                         is_whole ? "" : ", as far as was read in 6 s");
        } else if (say(module, group, lane, &wish, who, &hearing, &error) != CLIENT_OK) {
            http_api_fail(reply, &error, "the word");
        } else {
            reply_outcome(&wish, &hearing, reply);
        }
    }
    lane_view_deinit(&view);
    json_decref(wish.json);
}

void http_dead_lanes(struct http_dead *module)
{
    static const struct http_parameter none[] = {{0}};
    http_dead_add(
        module, &(struct http_route){
                    .method = "GET",
                    .path = "/v1/groups/{group}/lanes",
                    .handle = say_lanes,
                    .summary = "The open lanes of the group: what is held back, and why.",
                    .query = none,
                    .detail = "Looks for up to 6 s, at up to 1000000 records, and gives up to 500 "
                              "lanes; `count` is of all, `stopped` says whether it saw all."});
    http_dead_add(
        module,
        &(struct http_route){
            .method = "POST",
            .path = "/v1/groups/{group}/lanes",
            .handle = do_say,
            .summary = "Say a word to the owner of a lane: retry, skip, hold or release.",
            .query = none,
            .body_max = BODY_MAX,
            .detail = "The body is JSON: `verb`, and `topic`, `partition`, `head` of the lane as "
                      "GET tells them; `why` may be added. Answered when the owner has (200), or "
                      "after 5 s (202): then it stays, and is carried out when an owner comes."});
}
