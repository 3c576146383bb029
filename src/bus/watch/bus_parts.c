#include "bus/watch/bus_parts.h"

#include "base/mem.h"

#include <pthread.h>
#include <stdlib.h>

struct bus_asker {
    const struct connection_settings *settings;
    pthread_mutex_t lock;
    struct connection *connection; /* NULL: not yet */
};

struct bus_asker *bus_asker_new(const struct connection_settings *settings)
{
    struct bus_asker *asker = mem_new(struct bus_asker);
    asker->settings = settings;
    pthread_mutex_init(&asker->lock, NULL);
    return asker;
}

void bus_asker_free(struct bus_asker *asker)
{
    if (asker != NULL) {
        connection_close(asker->connection);
        pthread_mutex_destroy(&asker->lock);
        free(asker);
    }
}

enum client_status bus_parts_connection(const struct bus_parts *parts,
                                        struct connection **connection, struct client_error *error)
{
    struct bus_asker *asker = parts->asker;
    enum client_status status = CLIENT_OK;
    pthread_mutex_lock(&asker->lock);
    if (asker->connection == NULL) {
        status = connection_open(asker->settings, &asker->connection, error);
    }
    *connection = asker->connection;
    pthread_mutex_unlock(&asker->lock);
    return status;
}
