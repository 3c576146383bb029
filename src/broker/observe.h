#ifndef TIDINGS_BROKER_OBSERVE_H
#define TIDINGS_BROKER_OBSERVE_H

#include "api/client_table.h"
#include "api/sasl_session.h"
#include "client/event/observer.h"

/* The observer (client/event/observer.h) of a broker in this process: over the table in which the
 * api room counts. */
struct broker_observer {
    struct observer observer;
    struct client_table *clients;
    const struct sasl_service *sasl; /* NULL: no listener speaks SASL */
};

/* Table and service outlive the observer. Any thread. */
void broker_observer_init(struct broker_observer *observer, struct client_table *clients,
                          const struct sasl_service *sasl);

#endif
