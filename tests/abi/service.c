/* A service on the bus in memory, built by test_abi.py against headers of before and of later. */

#include <tidings_test.h>

#include <stdio.h>
#include <string.h>

#ifndef ADDED_OPTION
#define ADDED_OPTION
#define ADDED_MEMBER
#endif

static enum tidings_verdict on_order(struct tidings *service, const struct tidings_event *event,
                                     void *context)
{
    struct tidings_message shipped = {
        .topic = "shipments", .type = "Shipped", .key = event->key, .cause = event, ADDED_MEMBER};
    struct tidings_error error;
    if (tidings_publish(service, &shipped, NULL, NULL, &error) != TIDINGS_OK) {
        return tidings_reject(event, "publish", "%s", error.text);
    }
    *(int *)context += 1;
    return TIDINGS_DONE;
}

int main(void)
{
    struct {
        struct tidings_options options;
        char behind[256]; /* of no meaning, and never looked at */
    } given = {.options = {.name = "shop", .attempts = 1, ADDED_OPTION}};
    struct tidings_test *bus = tidings_test_new();
    struct tidings_message order = {.topic = "orders", .type = "Placed", .key = "17"};
    struct tidings_error error = {.text = ""};
    struct tidings *shop;
    int handled = 0;
    memset(given.behind, 0x5a, sizeof given.behind);
    if (tidings_test_service(bus, &given.options, &shop, &error) != TIDINGS_OK ||
        tidings_on(shop, "orders", "Placed", on_order, &handled, &error) != TIDINGS_OK ||
        tidings_test_publish(bus, &order, &error) != TIDINGS_OK ||
        tidings_test_settle(bus, &error) != TIDINGS_OK) {
        printf("status %d: %s\n", error.status, error.text);
    } else {
        printf("handled %d, shipped %zu, dead %zu\n", handled, tidings_test_count(bus, "shipments"),
               tidings_test_count(bus, "dlq.shop"));
    }
    tidings_free(shop);
    tidings_test_free(bus);
    return 0;
}
