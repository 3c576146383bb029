#ifndef TESTS_UNIT_STORE_SAGA_H
#define TESTS_UNIT_STORE_SAGA_H

#include "service.h"

#include <tidings_test.h>

/* One service of the store on a bus in memory, with a database of its own. */
struct saga {
    char folder[64];
    char database[96];
    char labels[96];
    const char *option;
    struct tidings_test *bus;
    const struct service *what;
    struct store_common common;
    struct shop *shop;
    struct tidings *tidings;
};

/* option: its first one; NULL: the folder for labels. What fails, here and below, fails the test.
 */
void saga_start(struct saga *saga, const struct service *what, const char *option);
void saga_end(struct saga *saga);

/* Stops the service and starts it again. */
void saga_restart(struct saga *saga);

/* Publishes an event about an order of customer 17, with the id ORDER.what, and lets the service do
 * what there is to do. lines: "CODE QUANTITY, ..."; NULL: none. */
void saga_tell(struct saga *saga, const char *topic, const char *type, const char *order,
               const char *what, const char *lines);

/* All that the service has put into its outbox, in order: "TYPE ID, TYPE ID". */
void saga_expect(const struct saga *saga, const char *told);

/* What a query of the service's database gives; -1: nothing. */
int64_t saga_number(const struct saga *saga, const char *sql);

bool saga_has_label(const struct saga *saga, const char *order);

#endif
