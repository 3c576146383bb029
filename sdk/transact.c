#include "service.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

/* options.exactly_once: what handlers publish because of the event in hand is kept in memory until
 * they say that it is done, and then goes into the transaction that says so to the bus. */

struct kept {
    struct lane_publication publication; /* first */
    struct arena arena;
    tidings_delivered_fn *delivered;
    void *context;
    struct span *span;
};

void transact_keep(struct tidings_in_hand *in_hand, const struct event *event, struct span *span,
                   tidings_delivered_fn *delivered, void *context)
{
    struct tidings *service = in_hand->service;
    struct kept *kept = mem_new(struct kept);
    kept->delivered = delivered;
    kept->context = context;
    kept->span = span;
    kept->publication.event = *event;
    event_own(&kept->publication.event, &kept->arena);
    meter_kept(service, 1);
    pthread_mutex_lock(&service->lock);
    if (in_hand->caused == NULL) {
        in_hand->caused = &kept->publication;
    } else {
        in_hand->caused_last->next = &kept->publication;
    }
    in_hand->caused_last = &kept->publication;
    pthread_mutex_unlock(&service->lock);
}

/* Tells who published them, and frees them. What was never sent counts as no publish. */
static void end_all(struct tidings *service, struct lane_publication *publications,
                    enum tidings_status status, const char *text)
{
    struct client_error error = {.status = CLIENT_REFUSED};
    snprintf(error.text, sizeof error.text, "%s", text);
    struct lane_publication *publication, *next;
    LL_FOREACH_SAFE (publications, publication, next) {
        struct kept *kept = container_of(publication, struct kept, publication);
        struct tidings_delivery delivery = {.status = status,
                                            .text = text,
                                            .topic = publication->event.topic,
                                            .partition = -1,
                                            .offset = -1};
        if (status == TIDINGS_OK) {
            delivery.partition = publication->partition;
            delivery.offset = publication->offset;
        }
        const struct publication sent = {.error = status == TIDINGS_OK ? NULL : &error,
                                         .topic = publication->event.topic,
                                         .partition = delivery.partition,
                                         .offset = delivery.offset};
        span_sent(service, kept->span, &sent);
        meter_kept(service, -1);
        if (status != TIDINGS_CLOSED) {
            meter_published(service, status == TIDINGS_OK);
        }
        if (kept->delivered != NULL) {
            kept->delivered(kept->context, &delivery);
        }
        arena_deinit(&kept->arena);
        free(kept);
    }
}

bool transact_begin(struct tidings_in_hand *in_hand)
{
    struct tidings *service = in_hand->service;
    struct lane_publication *caused = in_hand->caused;
    in_hand->caused = NULL;
    if (caused == NULL) {
        return false;
    }
    if (in_hand->said->verdict != LANE_DONE) {
        end_all(service, caused, TIDINGS_CLOSED, "the attempt that published it failed");
        return false;
    }
    in_hand->hand->publications = caused;
    return true;
}

void transact_end(struct tidings *service, struct lane_hand *hand, const struct lane_said *failed)
{
    struct lane_publication *caused = hand->publications;
    hand->publications = NULL;
    if (failed == NULL) {
        end_all(service, caused, TIDINGS_OK, "");
    } else if (failed->verdict == LANE_RETRY) {
        end_all(service, caused, TIDINGS_REFUSED, failed->message);
    } else {
        end_all(service, caused, TIDINGS_CLOSED, "its cause is no longer this process's to handle");
    }
}
