#ifndef TIDINGS_BUS_MAP_MAP_SERVICES_H
#define TIDINGS_BUS_MAP_MAP_SERVICES_H

#include "bus/map/map_graph.h"

/*
 * The inside of bus/map_graph.h: which names belong to one service. All names of all facts, joined
 * where a fact has several, where they are equal, or where a rule says so.
 */
struct map_services;

struct map_service {
    const char *name;
    struct map_names names[MAP_NAMES]; /* sorted */
};

/* Texts live in the arena. Free with map_services_free. */
struct map_services *map_services_new(const struct map_facts *facts, const struct map_rules *rules,
                                      struct arena *arena);
void map_services_free(struct map_services *services);

/* By name, sorted. The lists of names are the caller's to take, else they are freed. */
size_t map_services_count(const struct map_services *services);
struct map_service *map_services_item(struct map_services *services, size_t index);

/* Which one a fact is of; SIZE_MAX: it has no names. *is_inferred: what ties it to the rest of its
 * service is a guess. */
size_t map_services_of(const struct map_services *services, const struct map_fact_key *key);
bool map_services_is_guess(const struct map_services *services, size_t index);

#endif
