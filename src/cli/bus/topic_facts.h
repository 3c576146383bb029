#ifndef TIDINGS_CLI_TOPIC_FACTS_H
#define TIDINGS_CLI_TOPIC_FACTS_H

#include "cli/bus/raw_bus.h"
#include "client/admin/topic_ends.h"

/* What topics take on disk, and the time of their newest event: what brokers tell by the protocol,
 * but not by librdkafka 2.0.2. */
struct topic_fact {
    int64_t bytes;     /* of the largest copy of each partition, added up; -1: not known */
    int64_t newest_ms; /* the newest time of an event; -1: not known, or there is none */
};

struct topic_facts {
    struct topic_fact *items; /* as many as there are topics */
    struct reason no_bytes;   /* why sizes are not known, of all or some; "" */
    struct reason no_newest;  /* the same of times */
};

/*
 * Asks each broker twice about the topics, which are in order of name (bytes). What a topic's
 * partitions do not all tell is not known of it. Deinit in any case.
 */
void topic_facts_load(struct topic_facts *facts, const struct bus_options *options,
                      const struct topic_ends_list *topics);
void topic_facts_deinit(struct topic_facts *facts);

#endif
