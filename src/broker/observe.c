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

void broker_observer_init(struct broker_observer *observer, struct client_table *clients)
{
    *observer = (struct broker_observer){{show, find_producer}, clients};
}
