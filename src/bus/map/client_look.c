#include "bus/map/client_look.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdlib.h>
#include <uthash.h>

static struct slice *part_of(struct client_identity *identity, int which)
{
    struct slice *parts[LOOK_PARTS] = {&identity->principal, &identity->client_id, &identity->host,
                                       &identity->software_name, &identity->software_version};
    return parts[which];
}

enum { PLACE_PARTS = 3 }; /* the first ones: who, but for the software */

static size_t keep(struct client_look *look, struct slice text)
{
    size_t at = look->text.size;
    buf_append_slice(&look->text, text);
    return at;
}

static void show_client(void *context, const struct client_shown *client)
{
    struct client_look *look = context;
    struct look_client *at = vec_add(&look->clients);
    at->identity = client->identity;
    at->connections = client->connections;
    at->first_ms = client->first_ms;
    at->left_ms = client->last_ms;
    at->first_flow = look->flows.count;
    for (int i = 0; i < LOOK_PARTS; i++) {
        at->parts_at[i] = keep(look, *part_of(&at->identity, i));
    }
}

static void show_flow(void *context, const struct client_flow_shown *flow)
{
    struct client_look *look = context;
    vec_push(&look->flows, (struct look_flow){.did = flow->did,
                                              .topic = flow->topic,
                                              .group = flow->group,
                                              .topic_at = keep(look, flow->topic),
                                              .group_at = keep(look, flow->group),
                                              .events = flow->events,
                                              .bytes = flow->bytes,
                                              .session_timeout_ms = flow->session_timeout_ms,
                                              .first_ms = flow->first_ms,
                                              .last_ms = flow->last_ms});
    look->clients.items[look->clients.count - 1].flow_count++;
}

static void point(const struct client_look *look, struct slice *slice, size_t at)
{
    if (!slice_is_null(*slice)) {
        *slice = slice_of(look->text.data != NULL ? (const void *)(look->text.data + at) : "",
                          slice->size);
    }
}

/* --- those who did not tell their software --- */

/* Clients of one principal, client.id and host. */
struct place {
    UT_hash_handle hh;
    struct buf key;
    size_t client; /* the one that told its software */
    int count;     /* how many did */
};

static void make_key(struct look_client *client, struct buf *key)
{
    for (int i = 0; i < PLACE_PARTS; i++) {
        struct slice part = *part_of(&client->identity, i);
        size_t size = slice_is_null(part) ? SIZE_MAX : part.size;
        buf_append(key, &size, sizeof size);
        buf_append_slice(key, part);
    }
}

static struct place *find_place(struct place *places, struct look_client *client)
{
    struct buf key = {0};
    struct place *place = NULL;
    make_key(client, &key);
    HASH_FIND(hh, places, key.data, key.size, place);
    buf_deinit(&key);
    return place;
}

static bool has_software(const struct look_client *client)
{
    return !slice_is_null(client->identity.software_name);
}

static struct place *find_places(struct client_look *look)
{
    struct place *places = NULL;
    for (size_t i = 0; i < look->clients.count; i++) {
        struct look_client *client = &look->clients.items[i];
        struct place *place = has_software(client) ? find_place(places, client) : NULL;
        if (place != NULL) {
            place->count++;
        } else if (has_software(client)) {
            place = mem_new(struct place);
            make_key(client, &place->key);
            place->client = i;
            place->count = 1;
            HASH_ADD_KEYPTR(hh, places, place->key.data, place->key.size, place);
        }
    }
    return places;
}

static void free_places(struct place *places)
{
    struct place *place, *next;
    HASH_ITER (hh, places, place, next) {
        HASH_DEL(places, place);
        buf_deinit(&place->key);
        free(place);
    }
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* To the one of those from first to end that is its, or as one more. */
static void add_flow(struct client_look *look, size_t first, size_t end,
                     const struct look_flow *flow)
{
    for (size_t i = first; i < end; i++) {
        struct look_flow *at = &look->flows.items[i];
        if (at->did == flow->did && slice_equal(at->topic, flow->topic) &&
            slice_equal(at->group, flow->group)) {
            at->events += flow->events;
            at->bytes += flow->bytes;
            at->session_timeout_ms =
                at->last_ms < flow->last_ms ? flow->session_timeout_ms : at->session_timeout_ms;
            at->first_ms = earlier(at->first_ms, flow->first_ms);
            at->last_ms = later(at->last_ms, flow->last_ms);
            return;
        }
    }
    vec_push(&look->flows, *flow);
}

/* The flows of both stand behind all others then. Those of very many topics are not compared, and
 * may be there twice. */
static void join(struct client_look *look, struct look_client *to, struct look_client *from)
{
    enum { COMPARED_MOST = 100000 };
    size_t first = look->flows.count;
    bool is_compared = to->flow_count * from->flow_count <= COMPARED_MOST;
    for (size_t i = 0; i < to->flow_count; i++) {
        struct look_flow flow = look->flows.items[to->first_flow + i];
        vec_push(&look->flows, flow);
    }
    size_t end = look->flows.count;
    for (size_t i = 0; i < from->flow_count; i++) {
        struct look_flow flow = look->flows.items[from->first_flow + i];
        add_flow(look, is_compared ? first : end, end, &flow);
    }
    to->first_flow = first;
    to->flow_count = look->flows.count - first;
    to->connections += from->connections;
    to->first_ms = earlier(to->first_ms, from->first_ms);
    to->left_ms = to->connections > 0 ? 0 : later(to->left_ms, from->left_ms);
}

static void join_the_silent(struct client_look *look)
{
    struct place *places = find_places(look);
    size_t kept = 0;
    for (size_t i = 0; i < look->clients.count; i++) {
        struct look_client *client = &look->clients.items[i];
        struct place *place = has_software(client) ? NULL : find_place(places, client);
        client->is_joined = place != NULL && place->count == 1;
        if (client->is_joined) {
            join(look, &look->clients.items[place->client], client);
        }
    }
    for (size_t i = 0; i < look->clients.count; i++) {
        if (!look->clients.items[i].is_joined) {
            look->clients.items[kept++] = look->clients.items[i];
        }
    }
    look->clients.count = kept;
    free_places(places);
}

/* --- looking --- */

struct client_look *client_look_new(struct observer *observer)
{
    struct client_look *look = mem_new(struct client_look);
    struct client_visitor visitor = {look, show_client, show_flow};
    observer_show(observer, &visitor);
    look->ns = clock_now_ns();
    for (size_t i = 0; i < look->clients.count; i++) {
        for (int j = 0; j < LOOK_PARTS; j++) {
            struct look_client *client = &look->clients.items[i];
            point(look, part_of(&client->identity, j), client->parts_at[j]);
        }
    }
    for (size_t i = 0; i < look->flows.count; i++) {
        point(look, &look->flows.items[i].topic, look->flows.items[i].topic_at);
        point(look, &look->flows.items[i].group, look->flows.items[i].group_at);
    }
    join_the_silent(look);
    atomic_store(&look->references, 1);
    return look;
}

struct client_look *client_look_ref(struct client_look *look)
{
    atomic_fetch_add(&look->references, 1);
    return look;
}

void client_look_unref(struct client_look *look)
{
    if (look != NULL && atomic_fetch_sub(&look->references, 1) == 1) {
        buf_deinit(&look->text);
        vec_deinit(&look->clients);
        vec_deinit(&look->flows);
        free(look);
    }
}

/* Software may have been told since. */
static bool is_same(const struct look_client *a, const struct look_client *b)
{
    struct client_identity x = a->identity, y = b->identity;
    for (int i = 0; i < LOOK_PARTS; i++) {
        bool may_differ = i >= PLACE_PARTS && (!has_software(a) || !has_software(b));
        if (!may_differ && !slice_equal(*part_of(&x, i), *part_of(&y, i))) {
            return false;
        }
    }
    return true;
}

const struct look_client *client_look_find(const struct client_look *look, size_t *from,
                                           const struct look_client *client)
{
    enum { FAR = 64 }; /* it is new, most likely; a list of thousands is not searched for each */
    for (size_t i = 0; i < look->clients.count && i <= FAR; i++) {
        size_t at = (*from + i) % look->clients.count;
        if (is_same(&look->clients.items[at], client)) {
            *from = at + 1;
            return &look->clients.items[at];
        }
    }
    return NULL;
}
