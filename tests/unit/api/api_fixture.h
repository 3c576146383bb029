#ifndef TIDINGS_TESTS_API_FIXTURE_H
#define TIDINGS_TESTS_API_FIXTURE_H

#include "../unit.h"

#include "../../crash/client.h"
#include "api/api.h"
#include "base/budget.h"

#include <pthread.h>
#include <stdatomic.h>

/* The API room on a real connection: net, workers, flusher, catalogue, and groups that are kept
 * nowhere. */
struct fixture {
    char dir[64];
    int dir_fd;
    struct budget budget;
    uint16_t port;
    struct api_server api;
    struct overrides none;
    struct client client;
    struct file_ops disk;
    pthread_mutex_t sync_lock; /* held by a test: syncs wait */
    atomic_bool is_full;       /* groups cannot be kept */
    struct reason reason;
    pthread_mutex_t lock; /* guards seen */
    struct seen_client {
        char id[300], name[300], version[300], peer[64], principal[64];
        unsigned listener;
    } seen; /* what is kept of the connection, after the newest frame */
};

int fixture_setup(void **state);

/* The same, with a topic "orders" whose partition 0 cannot be opened. */
int fixture_setup_offline(void **state);
int fixture_teardown(void **state);

/* A frame of the bytes. */
void send_bytes(struct client *client, const void *bytes, size_t size);

/* Whether ApiVersions is answered. */
bool ask_versions(struct client *client);

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)

#endif
