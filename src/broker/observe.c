#include "broker/observe.h"

#include "base/mem.h"

static struct client_table *clients_of(struct observer *observer)
{
    return container_of(observer, struct broker_observer, observer)->clients;
}

static void show(struct observer *observer, const struct client_visitor *visitor)
{
    client_table_show(clients_of(observer), visitor);
}

static bool find_producer(struct observer *observer, int64_t producer_id,
                          client_producer_seen *seen, void *context)
{
    return client_table_find_producer(clients_of(observer), producer_id, seen, context);
}

static bool logins(struct observer *observer, struct observer_logins *out)
{
    const struct sasl_service *sasl =
        container_of(observer, struct broker_observer, observer)->sasl;
    if (sasl == NULL) {
        return false;
    }
    *out = (struct observer_logins){
        .succeeded = atomic_load_explicit(&sasl->logins, memory_order_relaxed),
        .failed = atomic_load_explicit(&sasl->failures, memory_order_relaxed),
        .expired = atomic_load_explicit(&sasl->expired, memory_order_relaxed),
    };
    return true;
}

void broker_observer_init(struct broker_observer *observer, struct client_table *clients,
                          const struct sasl_service *sasl)
{
    *observer = (struct broker_observer){{show, find_producer, logins}, clients, sasl};
}
