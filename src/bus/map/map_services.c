#include "bus/map/map_services.h"

#include "bus/map/map_name.h"

enum { RULED = MAP_NAMES, SAME, UNNAMED_BYTES = 300 };

static const size_t NONE = SIZE_MAX;
static const size_t MANY = SIZE_MAX - 1;

struct name {
    int kind; /* enum map_name, RULED or SAME */
    struct slice text;
    size_t parent;  /* itself: it stands for all that are joined */
    size_t partner; /* of a client its one source, of a group its one client; NONE, MANY */
    size_t service;
    unsigned kinds; /* a bit for each kind among those that it stands for */
};

struct name_entry {
    UT_hash_handle hh;
    size_t index;
};

/* Who publishes to a topic, of those that nothing tells apart: for the guess that they are one. */
struct topic_guess {
    UT_hash_handle hh;
    size_t client, source; /* names; NONE, MANY */
};

struct map_services {
    struct arena *arena;
    const struct map_rules *rules;
    struct name_entry *by_key; /* kind and text */
    VEC(struct name) names;
    VEC(struct map_service) items;
    VEC(bool) guesses;   /* of items */
    VEC(size_t) guessed; /* names whose tie is one */
};

/* --- names --- */

static size_t find_name(const struct map_services *services, int kind, struct slice text)
{
    uint8_t key[1 + UNNAMED_BYTES];
    struct name_entry *entry;
    key[0] = (uint8_t)kind;
    size_t size = text.size < UNNAMED_BYTES ? text.size : UNNAMED_BYTES;
    slice_copy(key + 1, slice_of(text.data, size));
    HASH_FIND(hh, services->by_key, key, size + 1, entry);
    return entry != NULL ? entry->index : NONE;
}

static size_t root_of(const struct map_services *services, size_t index)
{
    while (services->names.items[index].parent != index) {
        index = services->names.items[index].parent;
    }
    return index;
}

static void join(struct map_services *services, size_t a, size_t b)
{
    size_t first = root_of(services, a), second = root_of(services, b);
    size_t root = first < second ? first : second;
    unsigned kinds = services->names.items[first].kinds | services->names.items[second].kinds;
    services->names.items[first].parent = services->names.items[second].parent = root;
    services->names.items[root].kinds = kinds;
}

static size_t add_bare(struct map_services *services, int kind, struct slice text)
{
    size_t index = find_name(services, kind, text);
    if (index != NONE) {
        return index;
    }
    size_t size = text.size < UNNAMED_BYTES ? text.size : UNNAMED_BYTES;
    uint8_t *key = arena_alloc(services->arena, size + 1);
    struct name_entry *entry = mem_new(struct name_entry);
    key[0] = (uint8_t)kind;
    slice_copy(key + 1, slice_of(text.data, size));
    index = entry->index = services->names.count;
    HASH_ADD_KEYPTR(hh, services->by_key, key, size + 1, entry);
    vec_push(&services->names,
             (struct name){kind, slice_of(key + 1, size), index, NONE, NONE, 1U << kind});
    return index;
}

/* "unnamed librdkafka": what those are called of whom only the software is known. */
static struct slice unnamed(struct map_services *services, struct slice software)
{
    return slice_str(arena_sprintf(services->arena, "unnamed %.*s", SLICE_ARGS(software)));
}

/* With what it is the same as by its text, and by a rule. */
static size_t add_name(struct map_services *services, int kind, struct slice text)
{
    size_t index = find_name(services, kind, text);
    if (index != NONE) {
        return index;
    }
    index = add_bare(services, kind, text);
    struct slice same = kind == MAP_SOFTWARE ? unnamed(services, text) : map_name_key(text);
    join(services, index, add_bare(services, SAME, same));
    if (kind < MAP_NAMES) {
        struct slice ruled = map_rules_name(services->rules, (enum map_name)kind, text);
        if (!slice_is_null(ruled)) {
            join(services, index, add_name(services, RULED, ruled));
        }
    }
    return index;
}

/* --- what belongs together --- */

static void note_partner(struct map_services *services, size_t of, size_t partner)
{
    struct name *name = &services->names.items[of];
    name->partner = name->partner == NONE || name->partner == partner ? partner : MANY;
}

/* The names of a fact, NONE for those that it has not; software only where there is nothing else.
 */
static void add_names(struct map_services *services, const struct map_fact_key *key,
                      size_t names[MAP_NAMES])
{
    bool has_other = false;
    for (int i = 0; i < MAP_NAMES; i++) {
        names[i] = NONE;
        if (!slice_is_null(key->names[i]) && (i != MAP_SOFTWARE || !has_other)) {
            names[i] = add_name(services, i, key->names[i]);
            has_other = true;
        }
    }
}

static void note_fact(struct map_services *services, const struct map_fact_key *key)
{
    size_t names[MAP_NAMES];
    add_names(services, key, names);
    if (names[MAP_SOURCE] != NONE && names[MAP_CLIENT] != NONE) {
        note_partner(services, names[MAP_CLIENT], names[MAP_SOURCE]);
    }
    if (key->kind == MAP_JOINED && names[MAP_CLIENT] != NONE && names[MAP_GROUP] != NONE) {
        note_partner(services, names[MAP_GROUP], names[MAP_CLIENT]);
    }
}

static void join_fact(struct map_services *services, const struct map_fact_key *key)
{
    size_t names[MAP_NAMES];
    add_names(services, key, names);
    size_t client = names[MAP_CLIENT], group = names[MAP_GROUP];
    bool is_relay = client != NONE && services->names.items[client].partner == MANY;
    bool is_shared = group != NONE && services->names.items[group].partner == MANY;
    size_t first = NONE;
    for (int i = 0; i < MAP_NAMES; i++) {
        bool stays_apart = (i == MAP_SOURCE && is_relay) ||
                           (i == MAP_CLIENT && is_shared && names[MAP_PRINCIPAL] == NONE);
        if (names[i] == NONE || stays_apart) {
            continue;
        }
        if (first == NONE) {
            first = names[i];
        } else {
            join(services, first, names[i]);
        }
    }
}

/* --- a guess: one client and one source alone on a topic --- */

static void note_one(size_t *one, size_t name)
{
    *one = *one == NONE || *one == name ? name : MANY;
}

static void note_publisher(struct map_services *services, struct topic_guess **topics,
                           const struct map_fact_key *key)
{
    struct topic_guess *topic;
    size_t source = NONE, client = NONE;
    if (!slice_is_null(key->names[MAP_SOURCE])) {
        source = find_name(services, MAP_SOURCE, key->names[MAP_SOURCE]);
    } else if (!slice_is_null(key->names[MAP_CLIENT])) {
        client = find_name(services, MAP_CLIENT, key->names[MAP_CLIENT]);
    } else {
        client = MANY; /* somebody without a name */
    }
    struct slice name = slice_is_null(key->topic) ? slice_str("") : key->topic;
    HASH_FIND(hh, *topics, name.data, name.size, topic);
    if (topic == NULL) {
        topic = mem_new(struct topic_guess);
        topic->client = topic->source = NONE;
        HASH_ADD_KEYPTR(hh, *topics, name.data, name.size, topic);
    }
    if (client != NONE) {
        note_one(&topic->client, client);
    }
    if (source != NONE) {
        note_one(&topic->source, source);
    }
}

/* Whether a name of this kind is among those that it is joined with. */
static bool has_kind(const struct map_services *services, size_t of, int kind)
{
    return (services->names.items[root_of(services, of)].kinds & (1U << kind)) != 0;
}

static void guess(struct map_services *services, const struct map_facts *facts)
{
    struct topic_guess *topics = NULL, *topic, *next;
    for (const struct map_fact *fact = facts->by_key; fact != NULL; fact = fact->hh.next) {
        if (fact->is.kind == MAP_PUBLISHES && fact->is.topic.size > 0) {
            note_publisher(services, &topics, &fact->is);
        }
    }
    HASH_ITER (hh, topics, topic, next) {
        if (topic->client < MANY && topic->source < MANY &&
            !has_kind(services, topic->client, MAP_SOURCE) &&
            !has_kind(services, topic->source, MAP_CLIENT)) {
            join(services, topic->client, topic->source);
            vec_push(&services->guessed, topic->client);
        }
        HASH_DEL(topics, topic);
        free(topic);
    }
}

/* --- services --- */

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int compare_services(const void *a, const void *b)
{
    return strcmp(((const struct map_service *)a)->name, ((const struct map_service *)b)->name);
}

/* The one way in which all of them are called; NULL: there are several. */
static const char *only_one(const struct map_names *names, struct arena *arena)
{
    struct slice key = {0};
    for (size_t i = 0; i < names->count; i++) {
        struct slice its = map_name_key(slice_str(names->items[i]));
        if (i > 0 && !slice_equal(its, key)) {
            return NULL;
        }
        key = its;
    }
    return names->count > 0 ? arena_cstr(arena, key) : NULL;
}

static const char *name_service(struct map_services *services, const struct map_service *service)
{
    for (int i = 0; i < MAP_SOFTWARE; i++) {
        const char *name = only_one(&service->names[i], services->arena);
        if (name != NULL) {
            return name;
        }
    }
    for (int i = 0; i < MAP_SOFTWARE; i++) {
        if (service->names[i].count > 0) {
            return arena_cstr(services->arena, map_name_key(slice_str(service->names[i].items[0])));
        }
    }
    const struct map_names *software = &service->names[MAP_SOFTWARE];
    return (const char *)unnamed(services,
                                 slice_str(software->count > 0 ? software->items[0] : "client"))
        .data;
}

static void gather_names(struct map_services *services)
{
    for (size_t i = 0; i < services->names.count; i++) {
        struct name *name = &services->names.items[i];
        size_t root = root_of(services, i);
        if (services->names.items[root].service == NONE) {
            services->names.items[root].service = services->items.count;
            (void)vec_add(&services->items);
        }
        struct map_service *service = &services->items.items[services->names.items[root].service];
        if (name->kind == RULED) {
            const char *text = arena_cstr(services->arena, name->text);
            if (service->name == NULL || strcmp(text, service->name) < 0) {
                service->name = text;
            }
        } else if (name->kind < MAP_NAMES) {
            vec_push(&service->names[name->kind], arena_cstr(services->arena, name->text));
        }
    }
}

/* Sorts the services, and tells the names where theirs went. */
static void sort_services(struct map_services *services)
{
    size_t count = services->items.count;
    size_t *moved = mem_new_array(size_t, count + 1);
    for (size_t i = 0; i < count; i++) {
        struct map_service *service = &services->items.items[i];
        for (int kind = 0; kind < MAP_NAMES; kind++) {
            struct map_names *names = &service->names[kind];
            if (names->count > 0) {
                qsort(names->items, names->count, sizeof *names->items, compare_texts);
            }
        }
        if (service->name == NULL) {
            service->name = name_service(services, service);
        }
    }
    struct map_service *before = mem_new_array(struct map_service, count + 1);
    if (count > 0) {
        memcpy(before, services->items.items, count * sizeof *before);
        qsort(services->items.items, count, sizeof *before, compare_services);
    }
    for (size_t i = 0; i < count; i++) { /* names are told apart by their place in memory */
        for (size_t j = 0; j < count; j++) {
            if (services->items.items[j].name == before[i].name) {
                moved[i] = j;
                break;
            }
        }
    }
    for (size_t i = 0; i < services->names.count; i++) {
        struct name *name = &services->names.items[i];
        if (name->parent == i) {
            name->service = moved[name->service];
        }
    }
    free(before);
    free(moved);
}

struct map_services *map_services_new(const struct map_facts *facts, const struct map_rules *rules,
                                      struct arena *arena)
{
    struct map_services *services = mem_new(struct map_services);
    services->arena = arena;
    services->rules = rules;
    for (const struct map_fact *fact = facts->by_key; fact != NULL; fact = fact->hh.next) {
        note_fact(services, &fact->is);
    }
    for (const struct map_fact *fact = facts->by_key; fact != NULL; fact = fact->hh.next) {
        join_fact(services, &fact->is);
    }
    guess(services, facts);
    gather_names(services);
    sort_services(services);
    for (size_t i = 0; i < services->items.count; i++) {
        vec_push(&services->guesses, false);
    }
    for (size_t i = 0; i < services->guessed.count; i++) {
        size_t root = root_of(services, services->guessed.items[i]);
        services->guesses.items[services->names.items[root].service] = true;
    }
    return services;
}

void map_services_free(struct map_services *services)
{
    struct name_entry *entry, *next;
    HASH_ITER (hh, services->by_key, entry, next) {
        HASH_DEL(services->by_key, entry);
        free(entry);
    }
    for (size_t i = 0; i < services->items.count; i++) {
        for (int kind = 0; kind < MAP_NAMES; kind++) {
            vec_deinit(&services->items.items[i].names[kind]);
        }
    }
    vec_deinit(&services->items);
    vec_deinit(&services->names);
    vec_deinit(&services->guesses);
    vec_deinit(&services->guessed);
    free(services);
}

size_t map_services_count(const struct map_services *services)
{
    return services->items.count;
}

struct map_service *map_services_item(struct map_services *services, size_t index)
{
    return &services->items.items[index];
}

size_t map_services_of(const struct map_services *services, const struct map_fact_key *key)
{
    /* A relay's event is its source's, not the relay's; a group's its group's. */
    static const enum map_name order[] = {MAP_SOURCE, MAP_GROUP, MAP_PRINCIPAL, MAP_CLIENT,
                                          MAP_SOFTWARE};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        struct slice text = key->names[order[i]];
        if (!slice_is_null(text)) {
            size_t index = find_name(services, (int)order[i], text);
            return index == NONE ? NONE : services->names.items[root_of(services, index)].service;
        }
    }
    return NONE;
}

bool map_services_is_guess(const struct map_services *services, size_t index)
{
    return services->guesses.items[index];
}
