#ifndef TIDINGS_TEST_H
#define TIDINGS_TEST_H

#include <tidings.h>

/*
 * A bus in memory, for a service's own unit tests: no server, no network, and a clock that stands
 * still until the test moves it. The service is the real one, with its lanes, back-off, dead
 * letters and workers; only the bus and the time are played.
 *
 *     struct tidings_test *bus = tidings_test_new();
 *     struct tidings_options options = {.name = "shipping"};
 *     struct tidings *shop;
 *     tidings_test_service(bus, &options, &shop, NULL);
 *     tidings_on(shop, "orders", "OrderPlaced", prepare, depot, NULL);
 *     struct tidings_message order = {
 *         .topic = "orders", .type = "OrderPlaced", .key = "17", .data = "{}", .data_size = 2};
 *     tidings_test_publish(bus, &order, NULL);
 *     assert(tidings_test_settle(bus, NULL) == TIDINGS_OK);
 *     assert(strcmp(tidings_test_event(bus, "shipments", 0)->key, "17") == 0);
 *     tidings_free(shop);
 *     tidings_test_free(bus);
 *
 * Instead of tidings_run a test calls tidings_test_settle. A topic is there when somebody names it,
 * with one partition unless tidings_test_topic has given it more. What the group knows outlives the
 * service: free it and make it again with the same name, and it goes on where it was, as after a
 * stop. dlq.NAME is a topic like others; tidings_test_redrive has a dead letter tried again.
 *
 * An outbox (tidings_outbox_start, behind tidings_test_service) has no thread here: what is
 * committed when nobody is at work is published by tidings_test_settle and _advance. So it may have
 * the connection of the handlers, a database in memory ("sqlite3_open(":memory:", ...)", with
 * workers = 1) too. For inbox and outbox it is as late as the test's clock says.
 *
 * One thread calls these functions; handlers run on the service's workers, inside of
 * tidings_test_settle and _advance only.
 */

#ifdef __cplusplus
extern "C" {
#endif

struct tidings_test;

/* As in tidings.h, for other languages: with the size of the struct as the caller knows it. */
TIDINGS_API enum tidings_status tidings_test_service_sized(struct tidings_test *bus,
                                                           const struct tidings_options *options,
                                                           size_t options_size,
                                                           struct tidings **service,
                                                           struct tidings_error *error);
TIDINGS_API enum tidings_status tidings_test_publish_sized(struct tidings_test *bus,
                                                           const struct tidings_message *message,
                                                           size_t message_size,
                                                           struct tidings_error *error);

/* An empty bus, at 2026-01-01 00:00 UTC. */
TIDINGS_API struct tidings_test *tidings_test_new(void);

/* Frees it, after its services. NULL is fine. */
TIDINGS_API void tidings_test_free(struct tidings_test *bus);

/*
 * As tidings_new, of a service on this bus; one of a name at a time. bootstrap_servers, instance
 * and client_settings count for nothing. Release it with tidings_free, which stops it in order:
 * what is in hand ends, progress is written down.
 */
static inline enum tidings_status tidings_test_service(struct tidings_test *bus,
                                                       const struct tidings_options *options,
                                                       struct tidings **service,
                                                       struct tidings_error *error)
{
    return tidings_test_service_sized(bus, options, sizeof *options, service, error);
}

/* Gives a topic so many partitions; events of a key go to the one that publishers choose on a real
 * bus, those without key go round. TIDINGS_INVALID: it has more already. */
TIDINGS_API enum tidings_status tidings_test_topic(struct tidings_test *bus, const char *topic,
                                                   int partitions, struct tidings_error *error);

/*
 * Has a dead letter of a service tried again: the one with this index of the topic dlq.NAME, as
 * tidings_test_event counts. As by `tidings deadletter redrive`: in its key's order, before what
 * stands behind it; it is done by the next tidings_test_settle, or when the service is there again;
 * one that fails is a dead letter once more. TIDINGS_INVALID: there is none.
 */
TIDINGS_API enum tidings_status tidings_test_redrive(struct tidings_test *bus, const char *service,
                                                     size_t index, struct tidings_error *error);

/* Puts an event on a topic, as another service ("/test") would. */
static inline enum tidings_status tidings_test_publish(struct tidings_test *bus,
                                                       const struct tidings_message *message,
                                                       struct tidings_error *error)
{
    return tidings_test_publish_sized(bus, message, sizeof *message, error);
}

/*
 * All services of the bus do what there is to do now, until nothing is left that need not wait for
 * the clock. TIDINGS_FATAL when one of them cannot go on (TIDINGS_END).
 */
TIDINGS_API enum tidings_status tidings_test_settle(struct tidings_test *bus,
                                                    struct tidings_error *error);

/* Moves the clock, stopping wherever something is due: waits end, events are tried again. */
TIDINGS_API enum tidings_status tidings_test_advance(struct tidings_test *bus, int64_t ms,
                                                     struct tidings_error *error);

/* What the clock says: milliseconds since 1970 UTC. */
TIDINGS_API int64_t tidings_test_now_ms(const struct tidings_test *bus);

/* How many events were put on a topic, in all of its partitions, by whomever. */
TIDINGS_API size_t tidings_test_count(struct tidings_test *bus, const char *topic);

/* One of them, as they came, 0 for the first; NULL: there is none. Lives as long as the bus. */
TIDINGS_API const struct tidings_event *tidings_test_event(struct tidings_test *bus,
                                                           const char *topic, size_t index);

/* The next `times` publishes to the topic are refused (0: no more are), as by a bus that does not
 * take them. */
TIDINGS_API void tidings_test_refuse(struct tidings_test *bus, const char *topic, int times);

#ifdef __cplusplus
}
#endif

#endif
