#ifndef TIDINGS_BUS_MAP_MAP_NAME_H
#define TIDINGS_BUS_MAP_MAP_NAME_H

#include "base/slice.h"

/*
 * What the names that clients give themselves say of the service behind them. Pure; any thread.
 */

/*
 * The part of a client.id that all instances of a service share: without a number, a UUID, the
 * names of a Kubernetes pod, a host behind "@", at its end. Null for what libraries call a client
 * when nobody names it ("rdkafka", "producer-1", "sarama", ...). Borrows.
 *
 *   "billing-3" -> "billing"                    "billing-7f9c4d5b6-x2x8q" -> "billing"
 *   "consumer-billing-1" (Java's own) -> "billing"      "rdkafka" -> null
 */
struct slice map_client_name(struct slice client_id);

/* A principal, as "User:shop", without its kind; null for User:ANONYMOUS, which is everybody. */
struct slice map_principal_name(struct slice principal);

/*
 * What a name is compared by: "shop", "/shop", "urn:shop", "https://shop.example/" are one service
 * as long as nothing else tells them apart. Without "urn:", a scheme and slashes at both ends.
 * Borrows; the name itself where nothing would be left.
 */
struct slice map_name_key(struct slice name);

#endif
