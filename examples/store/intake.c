#include "intake.h"

#include <stdio.h>
#include <string.h>

enum tidings_status intake_publish(struct tidings *service, const struct order *order,
                                   const char *json, tidings_delivered_fn *delivered, void *context,
                                   struct tidings_error *error)
{
    /* An id made from the order's: an order handed in twice is one event that comes twice. */
    bool cancelled = order_is_cancellation(order);
    char id[ORDER_ID_MAX + 32];
    snprintf(id, sizeof id, "%s.%s", order->id, cancelled ? "cancelled" : "placed");
    struct tidings_message message = {
        .topic = "orders",
        .type = cancelled ? "OrderCancelled" : "OrderPlaced",
        .key = order_key(order),
        .subject = order->id,
        .id = id,
        .data = json,
        .data_size = strlen(json),
    };
    return delivered != NULL ? tidings_publish(service, &message, delivered, context, error)
                             : tidings_publish_wait(service, &message, error);
}

bool intake_date(const char *text, char iso[20])
{
    int year, month, day, hour = 0, minute = 0, second = 0, end = 0;
    char mark;
    if (sscanf(text, "%4d-%2d-%2d%c%2d:%2d:%2d%n", &year, &month, &day, &mark, &hour, &minute,
               &second, &end) < 6 ||
        (mark != ' ' && mark != 'T')) {
        if (sscanf(text, "%2d%*1[-/]%2d%*1[-/]%4d %2d:%2d%n", &month, &day, &year, &hour, &minute,
                   &end) != 5 ||
            text[end] != '\0') {
            return false;
        }
        second = 0;
    }
    if (year < 1000 || year > 9999 || month < 1 || month > 12 || day < 1 || day > 31 || hour < 0 ||
        hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) {
        return false;
    }
    snprintf(iso, 20, "%04d-%02d-%02dT%02d:%02d:%02d", year, month, day, hour, minute, second);
    return true;
}
