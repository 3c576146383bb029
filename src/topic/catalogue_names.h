#ifndef TIDINGS_TOPIC_CATALOGUE_NAMES_H
#define TIDINGS_TOPIC_CATALOGUE_NAMES_H

#include "topic/topic.h"

/*
 * Which topics have a name, found by what the name looks like in metrics: there '.' and '_' are the
 * same, so names that differ in these only are alike. Zeroed: empty. Not for several threads at
 * once (the catalogue's change_lock).
 */
struct catalogue_names {
    struct alike *alike;
};

/* The topic is found from now on; it is not held. */
void catalogue_names_add(struct catalogue_names *names, struct topic *topic);

/* It is not found any more. It was added. */
void catalogue_names_remove(struct catalogue_names *names, struct topic *topic);

/* The topics whose name is this one or alike, by next_alike; NULL: there is none. */
struct topic *catalogue_names_find(const struct catalogue_names *names, const char *name);

/* Forgets all. */
void catalogue_names_deinit(struct catalogue_names *names);

#endif
