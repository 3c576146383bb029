#include "client/connection/kafka.h"

#include "base/mem.h"

#include <stdlib.h>

/*
 * Handles that are asked by beside the connection's own, since what librdkafka (2.0.2 and later
 * ones) remembers of a cluster can be wrong for good:
 * - It forgets no broker, and a question to all brokers waits for one that is gone as long as it
 *   may.
 * - It remembers who coordinates a group, whatever that broker answers to requests of the admin
 *   API, until nobody has asked for some minutes.
 * - It uses memory that it has freed when a group's coordinator is there again after a request of
 *   the admin API to it has timed out.
 * A handle whose answer, or silence, shows that is not asked again, and the next one asks the
 * cluster anew.
 */

struct kafka_beside {
    rd_kafka_t *rk;
    int users;
    bool is_over; /* the last user frees it */
};

static void free_beside(struct connection *connection, struct kafka_beside *beside)
{
    if (beside != NULL) {
        kafka_free_handle(connection, beside->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
        free(beside);
    }
}

void kafka_beside_deinit(struct connection *connection)
{
    free_beside(connection, connection->by_all.beside);
    free_beside(connection, connection->by_group.beside);
    connection->by_all.beside = connection->by_group.beside = NULL;
}

/* As the connection's own, but that nobody is told what it complains of: the other one meets it,
 * too. `group` makes it a consumer, which joins nothing; without, it is a producer. */
static enum client_status open_beside(struct connection *connection, const char *group,
                                      struct kafka_beside **beside, struct client_error *error)
{
    char text[384];
    rd_kafka_conf_t *conf = rd_kafka_conf_dup(rd_kafka_conf(connection->rk));
    rd_kafka_conf_set_error_cb(conf, NULL);
    rd_kafka_conf_set_dr_msg_cb(conf, NULL);
    rd_kafka_t *rk = NULL;
    if (group == NULL) { /* a transactional id, and a producer id, are the other one's */
        (void)rd_kafka_conf_set(conf, "transactional.id", NULL, NULL, 0);
        (void)rd_kafka_conf_set(conf, "enable.idempotence", "false", NULL, 0);
        rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    } else if (rd_kafka_conf_set(conf, "group.id", group, text, sizeof text) == RD_KAFKA_CONF_OK) {
        rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    }
    if (rk == NULL) {
        rd_kafka_conf_destroy(conf);
        return client_fail(error, CLIENT_INVALID, NULL, "%s", text);
    }
    *beside = mem_new(struct kafka_beside);
    (*beside)->rk = rk;
    return CLIENT_OK;
}

enum client_status kafka_beside_take(struct connection *connection, struct kafka_slot *slot,
                                     bool may_be_own, const char *group,
                                     struct kafka_asking *asking, struct client_error *error)
{
    enum client_status status = CLIENT_OK;
    *asking = (struct kafka_asking){.rk = connection->rk};
    pthread_mutex_lock(&connection->lock);
    if (slot->beside == NULL && !(may_be_own && !slot->is_own_stale)) {
        status = open_beside(connection, group, &slot->beside, error);
    }
    if (slot->beside != NULL) {
        asking->beside = slot->beside;
        asking->rk = slot->beside->rk;
        slot->beside->users++;
    }
    pthread_mutex_unlock(&connection->lock);
    return status;
}

void kafka_beside_give(struct connection *connection, struct kafka_slot *slot,
                       const struct kafka_asking *asking, bool is_stale)
{
    struct kafka_beside *beside = asking->beside;
    pthread_mutex_lock(&connection->lock);
    if (is_stale && beside == slot->beside) {
        slot->is_own_stale = true;
        slot->beside = NULL;
        if (beside != NULL) {
            beside->is_over = true;
        }
    }
    bool is_last = beside != NULL && --beside->users == 0 && beside->is_over;
    pthread_mutex_unlock(&connection->lock);
    if (is_last) {
        free_beside(connection, beside);
    }
}
