#include "net/state.h"

/* Whether a share of the budget is used up. What is done about it is in relief.c. */

enum {
    TIGHT_PERCENT = 40, /* of frames: from here on the kernel keeps small ones */
    FULL_PERCENT =
        200, /* of answers: from here on only those are read at whose address little waits */
    MOST_PERCENT = 225, /* of answers: no large one is taken any more */
    /* Answers are more than their share only while others use little of theirs. In thousandths of
     * memory.max, in all shares: from here on as if there were FULL_PERCENT, and MOST_PERCENT. */
    FULL_PERMILLE = 800,
    MOST_PERMILLE = 880
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

/* The share for answers holds more than percent, or more than 100 with so much in all. */
static bool is_past(const struct budget *budget, int percent, int permille)
{
    return budget_is_past(budget, BUDGET_ANSWERS, percent) ||
           (budget_is_over(budget, BUDGET_ANSWERS) && budget_is_spent(budget, permille));
}

bool pressure_refuses(const struct reactor *reactor, const struct reply *reply)
{
    const struct budget *budget = reactor->answers.budget;
    return budget != NULL && reply->bytes.capacity > LITTLE_ANSWER_BYTES &&
           is_past(budget, MOST_PERCENT, MOST_PERMILLE);
}

void pressure_look(struct reactor *reactor)
{
    bool was_full = reactor->full;
    const struct budget *budget = reactor->answers.budget;
    reactor->full = budget != NULL && is_past(budget, FULL_PERCENT, FULL_PERMILLE);
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
