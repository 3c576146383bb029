#ifndef TIDINGS_BROKER_CHAOS_FACTS_H
#define TIDINGS_BROKER_CHAOS_FACTS_H

#include "api/api.h"
#include "broker/chaos_rule.h"

/*
 * Reads what a request is about: the topics, groups and transactional id that it names, as far as
 * its API names them. A request that cannot be decoded has none. The facts borrow from the request
 * and from the arena, which has a limit. On the request's reactor; changes nothing of it.
 */
void chaos_facts_read(const struct api_request *request, struct arena *arena,
                      struct chaos_facts *facts);

#endif
