#include "net/state.h"

/* Whether a share of the budget is used up. What is done about it is in relief.c. */

enum {
    TIGHT_PERCENT = 40, /* of frames: from here on the kernel keeps small ones */
    FULL_PERCENT =
        200, /* of answers: from here on only those are read at whose address little waits */
};

bool pressure_on_frames(const struct reactor *reactor)
{
    const struct budget *budget = reactor->frames.budget;
    return budget != NULL && budget_is_past(budget, BUDGET_FRAMES, TIGHT_PERCENT);
}

bool pressure_on_answers(const struct reactor *reactor, int percent)
{
    const struct budget *budget = reactor->answers.budget;
    return budget != NULL && budget_is_past(budget, BUDGET_ANSWERS, percent);
}

void pressure_look(struct reactor *reactor)
{
    bool was_full = reactor->full;
    reactor->full = pressure_on_answers(reactor, FULL_PERCENT);
    reactor->packed = pressure_on_answers(reactor, PACKED_PERCENT);
    reactor->crowded = pressure_on_answers(reactor, 100);
    if (reactor->crowded && !reactor->pressed) {
        pressure_tell(reactor->net);
    } else if (reactor->full && !was_full) {
        reactor_timer_set(reactor, &reactor->pressure_timer, reactor->now_ms);
    }
}

void pressure_tell(struct net *net)
{
    for (unsigned i = 0; i < net->config.reactor_count; i++) {
        struct reactor *reactor = &net->reactors[i];
        if (!atomic_exchange(&reactor->pressure_posted, true)) {
            reactor_post(reactor, &reactor->pressure_task);
        }
    }
}
