#ifndef TIDINGS_API_FAULTS_H
#define TIDINGS_API_FAULTS_H

#include "api/api.h"

/*
 * Faults that a test asks for: they are judged at one place, when a request's header is read and
 * its row is found, and before anything is done for it. Only a server for tests has them
 * (api_server.faults); elsewhere they cost a look at one pointer.
 */
enum api_fault {
    API_NO_FAULT,
    API_FAULT_ERROR, /* answered with an error for all that it asks for; nothing is done */
    API_FAULT_DROP,  /* its connection is closed; nothing is done */
};

struct api_faults {
    void *context;
    /*
     * What happens to the request, whose body has not been decoded. Also sets what is to happen to
     * its answer: completion.hold_ms and loses_answer. *error_code: of API_FAULT_ERROR; *reason: of
     * API_FAULT_DROP. On its reactor.
     */
    enum api_fault (*judge)(void *context, struct api_request *request, int16_t *error_code,
                            struct reason *reason);
    /* Whether a fetch is to find no events in this topic. On its reactor, or on a worker. */
    bool (*pauses)(void *context, const struct api_request *request, struct slice topic);
};

#endif
