#ifndef TIDINGS_CLI_RAW_BUS_H
#define TIDINGS_CLI_RAW_BUS_H

#include "cli/bus/raw_request.h"

/*
 * Questions that librdkafka 2.0.2 has no words for (DescribeLogDirs, ListOffsets by the newest
 * time, the types of groups), asked of each broker over a connection of our own, plain or by
 * TLS, with or without SASL. Where a broker does not know the version the answer is not known, and
 * the reason tells why. One thread.
 */
struct raw_broker {
    int32_t id;
    char *address; /* "host:port" */
    struct raw_stream stream;
    bool is_lost; /* it is not asked again */
};

struct raw_bus {
    struct raw_security security;
    VEC(struct raw_broker) brokers;
    size_t controller; /* its place in them: who takes changes of the cluster */
    int64_t until_ms;  /* monotonic: by then all is answered, or not known */
};

/*
 * Asks who the brokers are. All that is asked of this bus takes no longer than --timeout, and no
 * longer than 10 s. ERR_UNSUPPORTED: the bus is reached by what is not known here (raw_security.h).
 * Deinit in any case.
 */
CHECKED enum err raw_bus_init(struct raw_bus *bus, const struct bus_options *options,
                              struct reason *reason);
void raw_bus_deinit(struct raw_bus *bus);

/* The same, with another bound than 10 s; --timeout does not count. */
CHECKED enum err raw_bus_init_for(struct raw_bus *bus, const struct bus_options *options,
                                  int64_t most_ms, struct reason *reason);

/* Sends the request to that broker and waits for its answer, of at most 256 MiB. Deinit the answer
 * in any case. */
CHECKED enum err raw_bus_ask(struct raw_bus *bus, size_t broker, const struct raw_request *request,
                             struct raw_answer *answer, struct reason *reason);

#endif
