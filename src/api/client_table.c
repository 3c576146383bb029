#include "api/client_table.h"

#include "base/buf.h"
#include "base/bytes.h"
#include "base/mem.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

struct flow {
    UT_hash_handle hh;
    struct client_flow counts;
    struct buf key; /* did, size of the topic's name, topic, group */
    int64_t first_ms;
};

enum { PART_OF_ONE = 16, RECENT = 8 };

/* A producer id that was given out. */
struct given {
    UT_hash_handle hh;
    int64_t producer_id;
    int64_t since_ms;
    struct client_entry *entry;
    struct given *next, *prev; /* of the entry's, the oldest first */
};

struct client_entry {
    UT_hash_handle hh;
    struct buf key; /* each part of the identity: its size or -1, and the part */
    int connections;
    int64_t first_ms;
    int64_t last_ms;
    _Atomic(struct flow *) recent[RECENT]; /* of the flows, by where recent_of says */
    pthread_mutex_t lock;                  /* flows */
    struct flow *flows;
    size_t flow_bytes;
    struct given *given; /* under the table's lock */
    int given_count;
    struct client_entry *next_gone,
        *prev_gone; /* in the table's list of those without connection */
};

struct client_table {
    pthread_mutex_t lock; /* before an entry's */
    struct client_entry *entries;
    struct client_entry *gone;   /* who went first is first */
    struct client_entry *others; /* for whom there is no place; in no list */
    struct given *given;         /* by producer id */
    size_t part_bytes;           /* what clients may have, and flows */
    size_t client_bytes;
    _Atomic size_t flow_bytes;
};

/* --- keys --- */

static void append_part(struct buf *key, struct slice part)
{
    buf_append_be32(key, slice_is_null(part) ? UINT32_MAX : (uint32_t)part.size);
    buf_append_slice(key, part);
}

static void identity_key(struct buf *key, const struct client_identity *identity)
{
    append_part(key, identity->principal);
    append_part(key, identity->client_id);
    append_part(key, identity->software_name);
    append_part(key, identity->software_version);
    append_part(key, identity->host);
}

static struct slice take_part(struct slice *key)
{
    uint32_t size = load_be32(key->data);
    struct slice part = {0};
    *key = slice_of(key->data + 4, key->size - 4);
    if (size != UINT32_MAX) {
        part = slice_of(key->data, size);
        *key = slice_of(key->data + size, key->size - size);
    }
    return part;
}

static struct client_identity identity_of(const struct client_entry *entry)
{
    struct slice key = buf_slice(&entry->key);
    struct client_identity identity;
    identity.principal = take_part(&key);
    identity.client_id = take_part(&key);
    identity.software_name = take_part(&key);
    identity.software_version = take_part(&key);
    identity.host = take_part(&key);
    return identity;
}

/* On the stack, as it is made for each topic of a request. */
struct flow_key {
    uint8_t bytes[1 + 4 + 2 * CLIENT_TABLE_NAME_BYTES];
    size_t size;
};

static void add_name(struct flow_key *key, struct slice name)
{
    slice_copy(key->bytes + key->size, name);
    key->size += name.size;
}

static struct slice cut(struct slice name)
{
    return name.size <= CLIENT_TABLE_NAME_BYTES ? name
                                                : slice_of(name.data, CLIENT_TABLE_NAME_BYTES);
}

static void make_flow_key(struct flow_key *key, enum client_did did, struct slice topic,
                          struct slice group)
{
    topic = cut(topic);
    key->bytes[0] = (uint8_t)did;
    store_be32(key->bytes + 1, (uint32_t)topic.size);
    key->size = 5;
    add_name(key, topic);
    add_name(key, cut(group));
}

static size_t entry_cost(const struct buf *key)
{
    return mem_cost(sizeof(struct client_entry)) + mem_cost(key->capacity) + MEM_HASH_COST / 4;
}

static size_t flow_cost(const struct flow_key *key)
{
    return mem_cost(sizeof(struct flow)) + mem_cost(key->size);
}

/* --- entries --- */

static struct client_entry *new_entry(struct buf *key, int64_t now_ms)
{
    struct client_entry *entry = mem_new(struct client_entry);
    entry->key = buf_take(key);
    entry->first_ms = now_ms;
    pthread_mutex_init(&entry->lock, NULL);
    return entry;
}

/* What a producer id takes. */
static size_t given_cost(void)
{
    return mem_cost(sizeof(struct given)) + MEM_HASH_COST / 32;
}

/* Under the lock. */
static void take_back(struct client_table *table, struct given *given)
{
    HASH_DEL(table->given, given);
    DL_DELETE(given->entry->given, given);
    given->entry->given_count--;
    table->client_bytes -= given_cost();
    free(given);
}

static void free_entry(struct client_table *table, struct client_entry *entry)
{
    struct flow *flow, *next;
    while (entry->given != NULL) {
        take_back(table, entry->given);
    }
    HASH_ITER (hh, entry->flows, flow, next) {
        HASH_DEL(entry->flows, flow);
        buf_deinit(&flow->key);
        free(flow);
    }
    atomic_fetch_sub(&table->flow_bytes, entry->flow_bytes);
    buf_deinit(&entry->key);
    pthread_mutex_destroy(&entry->lock);
    free(entry);
}

struct client_table *client_table_new(size_t most_bytes)
{
    struct client_table *table = mem_new(struct client_table);
    table->part_bytes =
        (most_bytes > CLIENT_TABLE_LEAST_BYTES ? most_bytes : CLIENT_TABLE_LEAST_BYTES) / 2;
    struct client_identity nobody = {.principal = slice_of(NULL, 0)};
    struct buf key = {0};
    pthread_mutex_init(&table->lock, NULL);
    identity_key(&key, &nobody);
    table->others = new_entry(&key, 0);
    return table;
}

void client_table_free(struct client_table *table)
{
    if (table == NULL) {
        return;
    }
    struct client_entry *entry, *next;
    HASH_ITER (hh, table->entries, entry, next) {
        HASH_DEL(table->entries, entry);
        free_entry(table, entry);
    }
    free_entry(table, table->others);
    pthread_mutex_destroy(&table->lock);
    free(table);
}

/* Who went first makes room. False: all have connections. */
static bool make_room(struct client_table *table)
{
    struct client_entry *oldest = table->gone;
    if (oldest == NULL) {
        return false;
    }
    DL_DELETE2(table->gone, oldest, prev_gone, next_gone);
    HASH_DEL(table->entries, oldest);
    table->client_bytes -= entry_cost(&oldest->key);
    free_entry(table, oldest);
    return true;
}

/* Under the lock. Takes the key over. */
static struct client_entry *add_entry(struct client_table *table, struct buf *key, int64_t now_ms)
{
    size_t cost = entry_cost(key);
    while (table->client_bytes + cost > table->part_bytes) {
        if (!make_room(table)) {
            return table->others;
        }
    }
    struct client_entry *entry = new_entry(key, now_ms);
    HASH_ADD_KEYPTR(hh, table->entries, entry->key.data, entry->key.size, entry);
    table->client_bytes += cost;
    return entry;
}

struct client_entry *client_table_enter(struct client_table *table,
                                        const struct client_identity *identity, int64_t now_ms)
{
    struct buf key = {0};
    struct client_entry *entry;
    identity_key(&key, identity);
    pthread_mutex_lock(&table->lock);
    HASH_FIND(hh, table->entries, key.data, key.size, entry);
    if (entry == NULL) {
        entry = add_entry(table, &key, now_ms);
    } else if (entry->connections == 0) {
        DL_DELETE2(table->gone, entry, prev_gone, next_gone);
    }
    entry->connections++;
    pthread_mutex_unlock(&table->lock);
    buf_deinit(&key);
    return entry;
}

void client_table_leave(struct client_table *table, struct client_entry *entry, int64_t now_ms)
{
    pthread_mutex_lock(&table->lock);
    assert(entry->connections > 0);
    entry->connections--;
    entry->last_ms = now_ms;
    if (entry->connections == 0 && entry != table->others) {
        DL_APPEND2(table->gone, entry, prev_gone, next_gone);
    }
    pthread_mutex_unlock(&table->lock);
}

/* --- producer ids --- */

/* Under the lock. */
static struct given *find_given(struct client_table *table, int64_t producer_id)
{
    struct given *given;
    HASH_FIND(hh, table->given, &producer_id, sizeof producer_id, given);
    return given;
}

/* Under the lock: room for one more, which the clients that are gone give, else the entry's own
 * oldest. False: there is none. */
static bool make_room_for_given(struct client_table *table, struct client_entry *entry)
{
    if (entry->given_count >= CLIENT_TABLE_PRODUCERS) {
        take_back(table, entry->given);
    }
    while (table->client_bytes + given_cost() > table->part_bytes) {
        if (entry->given != NULL) {
            take_back(table, entry->given);
        } else if (!make_room(table)) {
            return false;
        }
    }
    return true;
}

void client_table_producer(struct client_table *table, struct client_entry *entry,
                           int64_t producer_id, int64_t now_ms)
{
    pthread_mutex_lock(&table->lock);
    struct given *given = find_given(table, producer_id);
    if (given != NULL) {
        take_back(table, given);
    }
    if (make_room_for_given(table, entry)) {
        given = mem_new(struct given);
        *given = (struct given){.producer_id = producer_id, .since_ms = now_ms, .entry = entry};
        HASH_ADD(hh, table->given, producer_id, sizeof given->producer_id, given);
        DL_APPEND(entry->given, given);
        entry->given_count++;
        table->client_bytes += given_cost();
    }
    pthread_mutex_unlock(&table->lock);
}

/* --- flows --- */

/* Under the entry's lock; NULL: there is no place for it. */
static struct flow *add_flow(struct client_table *table, struct client_entry *entry,
                             const struct flow_key *key, bool has_name, int64_t now_ms)
{
    size_t cost = flow_cost(key);
    bool is_full = atomic_load(&table->flow_bytes) + cost > table->part_bytes ||
                   entry->flow_bytes + cost > table->part_bytes / PART_OF_ONE;
    if (has_name && is_full) {
        return NULL;
    }
    struct flow *flow = mem_new(struct flow);
    buf_append(&flow->key, key->bytes, key->size);
    flow->first_ms = now_ms;
    HASH_ADD_KEYPTR(hh, entry->flows, flow->key.data, flow->key.size, flow);
    entry->flow_bytes += cost;
    atomic_fetch_add(&table->flow_bytes, cost);
    return flow;
}

/* Where a flow is looked for before the hash: a client mostly does the same again. */
static _Atomic(struct flow *) *recent_of(struct client_entry *entry, enum client_did did,
                                         struct slice topic, struct slice group)
{
    size_t sum = (size_t)did + topic.size + group.size;
    sum += topic.size > 0 ? topic.data[topic.size - 1] : 0;
    sum += group.size > 0 ? group.data[group.size - 1] : 0;
    return &entry->recent[sum % RECENT];
}

static bool has_bytes(const uint8_t *at, struct slice name)
{
    return name.size == 0 || memcmp(at, name.data, name.size) == 0;
}

/* A name that had to be cut is not found so. */
static bool is_flow_of(const struct flow *flow, enum client_did did, struct slice topic,
                       struct slice group)
{
    const uint8_t *key = flow->key.data;
    return flow->key.size == 5 + topic.size + group.size && key[0] == (uint8_t)did &&
           load_be32(key + 1) == topic.size && has_bytes(key + 5, topic) &&
           has_bytes(key + 5 + topic.size, group);
}

static struct flow *reach_flow(struct client_table *table, struct client_entry *entry,
                               enum client_did did, struct slice topic, struct slice group,
                               int64_t now_ms)
{
    static const struct slice none = {0};
    struct flow_key key;
    struct flow *flow = NULL;
    make_flow_key(&key, did, topic, group);
    pthread_mutex_lock(&entry->lock);
    HASH_FIND(hh, entry->flows, key.bytes, key.size, flow);
    if (flow == NULL) {
        flow = add_flow(table, entry, &key, topic.size > 0 || group.size > 0, now_ms);
    }
    if (flow == NULL) {
        make_flow_key(&key, did, none, none);
        HASH_FIND(hh, entry->flows, key.bytes, key.size, flow);
    }
    if (flow == NULL) {
        flow = add_flow(table, entry, &key, false, now_ms);
    }
    pthread_mutex_unlock(&entry->lock);
    return flow;
}

struct client_flow *client_table_flow(struct client_table *table, struct client_entry *entry,
                                      enum client_did did, struct slice topic, struct slice group,
                                      int64_t now_ms)
{
    _Atomic(struct flow *) *recent = recent_of(entry, did, topic, group);
    struct flow *flow = atomic_load_explicit(recent, memory_order_acquire);
    if (flow == NULL || !is_flow_of(flow, did, topic, group)) {
        flow = reach_flow(table, entry, did, topic, group, now_ms);
        atomic_store_explicit(recent, flow, memory_order_release);
    }
    return &flow->counts;
}

/* --- looking --- */

static void show_flow(const struct flow *flow, const struct client_visitor *visitor)
{
    const uint8_t *key = flow->key.data;
    size_t topic_size = load_be32(key + 1);
    struct client_flow_shown shown = {
        .did = (enum client_did)key[0],
        .topic = slice_of(key + 5, topic_size),
        .group = slice_of(key + 5 + topic_size, flow->key.size - 5 - topic_size),
        .events = atomic_load_explicit(&flow->counts.events, memory_order_relaxed),
        .bytes = atomic_load_explicit(&flow->counts.bytes, memory_order_relaxed),
        .session_timeout_ms =
            atomic_load_explicit(&flow->counts.session_timeout_ms, memory_order_relaxed),
        .first_ms = flow->first_ms,
        .last_ms = atomic_load_explicit(&flow->counts.last_ms, memory_order_relaxed),
    };
    visitor->flow(visitor->context, &shown);
}

static struct client_shown shown_of(const struct client_entry *entry)
{
    return (struct client_shown){
        .identity = identity_of(entry),
        .connections = entry->connections,
        .first_ms = entry->first_ms,
        .last_ms = entry->connections > 0 ? 0 : entry->last_ms,
    };
}

bool client_table_find_producer(struct client_table *table, int64_t producer_id,
                                client_producer_seen *seen, void *context)
{
    pthread_mutex_lock(&table->lock);
    const struct given *given = find_given(table, producer_id);
    if (given != NULL) {
        struct client_shown shown = shown_of(given->entry);
        seen(context, &shown, given->since_ms);
    }
    pthread_mutex_unlock(&table->lock);
    return given != NULL;
}

static void show_entry(struct client_entry *entry, const struct client_visitor *visitor)
{
    struct client_shown shown = shown_of(entry);
    visitor->client(visitor->context, &shown);
    pthread_mutex_lock(&entry->lock);
    for (const struct flow *flow = entry->flows; flow != NULL; flow = flow->hh.next) {
        show_flow(flow, visitor);
    }
    pthread_mutex_unlock(&entry->lock);
}

void client_table_show(struct client_table *table, const struct client_visitor *visitor)
{
    pthread_mutex_lock(&table->lock);
    for (struct client_entry *entry = table->entries; entry != NULL; entry = entry->hh.next) {
        show_entry(entry, visitor);
    }
    if (table->others->connections > 0 || table->others->flows != NULL) {
        show_entry(table->others, visitor);
    }
    pthread_mutex_unlock(&table->lock);
}
