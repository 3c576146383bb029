#ifndef STORE_SERVICE_H
#define STORE_SERVICE_H

#include "db.h"
#include "order.h"
#include "store.h"

/*
 * The frame of the store's services: what each of them says about itself, and what happens around
 * its handlers. A handler is called once for each event, in a transaction on the service's own
 * database; what it publishes becomes true when that is committed (tidings_once.h). An event that
 * is no order can never work and is given up; what fails is tried again.
 */
struct work {
    const struct service *service;
    void *self; /* what service.start made */
    struct tidings *tidings;
    struct db *db;
    const struct tidings_event *event;
    struct order order; /* the event's data */

    /* why it failed: work_fail */
    const char *error_class;
    char why[300];
    bool was_beaten; /* another transaction was in the way: it may be done again at once */
};

/* False, said by work_fail or by a failed db: all is undone, and the event is tried again. */
typedef bool work_fn(struct work *work);

/* For a handler to return: it failed, and why. error_class is short and the same for what has one
 * cause. */
bool work_fail(struct work *work, const char *error_class, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Publishes an event about the order in hand, because of the event in hand, once the transaction is
 * committed. Its id is ORDER.what, so whoever hears it twice knows. data is an order too, mostly
 * without lines. False: the database failed.
 */
bool work_publish(struct work *work, const char *topic, const char *type, const char *what,
                  const struct order *data);

enum { SERVICE_HANDLERS_MAX = 8, SERVICE_OPTIONS_MAX = 4 };

struct service_handler {
    const char *topic, *type;
    work_fn *handle;
};

struct service {
    const char *name;
    const char *about;  /* for --help */
    const char *tables; /* SQL that makes its own tables where they are missing; "": none */
    struct service_handler handlers[SERVICE_HANDLERS_MAX]; /* ends with topic NULL */

    /* Options of its own, with what holds where they are not given. start gets their values in this
     * order; what it returns (from malloc) is work.self. NULL: then that is the array of values. */
    struct service_option {
        const char *name, *argument, *help, *value;
    } options[SERVICE_OPTIONS_MAX]; /* ends with name NULL */
    void *(*start)(const char *const *values);
};

extern const struct service email_service, inventory_service, shipping_service, analytics_service;

/* A service that is open: its connections and what its options say. */
struct shop;

/* NULL after a complaint. Values are those of service.options. Borrows all. */
struct shop *shop_open(const struct service *service, const struct store_common *common,
                       const char *const *values);

/* Registers its handlers. False after a complaint. */
bool shop_register(struct shop *shop, struct tidings *tidings);
void shop_close(struct shop *shop);

/* All that a service's main does. Returns the exit status. */
int service_main(const struct service *service, int argc, char **argv);

#endif
