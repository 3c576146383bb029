#include "client/runner/lane_runner_inside.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>

/*
 * Commits as transactions of the bus. An event whose handler is done waits here, in its lane's hand
 * for the machine, until a commit tells it as done and that commit is stored together with what the
 * event caused: so nothing has to be taken back when a transaction fails, it is sent again. One
 * transaction is on its way, the next one is filled meanwhile.
 *
 * When the bus refuses what some event caused and nobody can tell which, half as many go into the
 * next transaction, until it is one: that event has failed.
 */

enum { MOST_EVENTS = 10000 };

static struct lane_held *held_of(struct lane_caused *caused)
{
    return container_of(caused, struct lane_held, caused);
}

static void transaction_free(struct lane_transaction *transaction)
{
    for (size_t i = 0; i < transaction->records.count; i++) {
        buf_deinit(&transaction->records.items[i].key);
        buf_deinit(&transaction->records.items[i].value);
    }
    vec_deinit(&transaction->records);
    vec_deinit(&transaction->epochs);
    vec_deinit(&transaction->sources);
    topic_partitions_deinit(&transaction->offsets);
    topic_partitions_deinit(&transaction->stored);
    buf_deinit(&transaction->member);
    free(transaction);
}

/* --- what goes in --- */

void lane_transact_add(struct lane_runner *runner, struct lane_held *held)
{
    held->caused = (struct lane_caused){.publications = held->hand.publications};
    held->hand.publications = NULL;
    DL_APPEND(runner->caused, held);
    lane_ready(runner->machine, &held->event);
}

/* The first ones are to be told by the next commit, as many as may. */
static void make_ready(struct lane_runner *runner)
{
    struct lane_held *held;
    size_t count = 0;
    size_t most = runner->caused_most < MOST_EVENTS ? runner->caused_most : MOST_EVENTS;
    DL_FOREACH (runner->caused, held) {
        bool is_wanted = count < most;
        if (is_wanted && !held->event.is_ready) {
            lane_ready(runner->machine, &held->event);
        } else if (!is_wanted && held->event.is_ready) {
            lane_hold_back(runner->machine, &held->event);
        }
        count++;
    }
}

int64_t lane_transact_due(struct lane_runner *runner)
{
    int64_t now_ms = clock_mono_ms(runner->clock);
    if (!runner->settings.transacts || runner->sent != NULL || runner->filling != NULL ||
        (runner->caused == NULL && !lane_has_commits(runner->machine))) {
        return INT64_MAX; /* or what comes in wakes us */
    }
    bool is_wanted = runner->is_letting_go ||
                     (lane_is_held_up(runner->machine) && lane_workers_are_idle(runner));
    bool is_due = now_ms >= runner->transact_at_ms || runner->settings.commits_at_once ||
                  (is_wanted && runner->transact_failures == 0);
    if (!is_due) {
        return runner->transact_at_ms;
    }
    runner->transact_at_ms = now_ms + runner->settings.lanes.commit_interval_ms;
    make_ready(runner);
    lane_request_commit(runner->machine);
    return INT64_MAX;
}

static void add_record(struct lane_transaction *transaction, struct lane_source *source,
                       const struct lane_held *held)
{
    struct lane_transaction_record *added = vec_add(&transaction->records);
    bool is_redriven = held->event.keep == LANE_REDRIVEN;
    const struct lane_record record = {
        .kind = is_redriven ? LANE_RECORD_REDRIVEN : LANE_RECORD_DONE,
        .fence = source->fence,
        .offset = held->event.offset,
        .event.key = held->event.key,
        .redriven = LANE_REDRIVEN_DONE,
        .number = held->redrive,
    };
    added->partition = source->number;
    lane_record_write(&record, &added->value);
    lane_record_key_write(&(struct lane_record_key){.id = {source->writer, ++source->serial},
                                                    .topic = slice_str(source->topic),
                                                    .partition = source->number},
                          &added->key);
}

void lane_transact_commit(struct lane_runner *runner, struct lane_source *source,
                          const struct lane_effect *effect)
{
    struct lane_held *held, *next;
    if (runner->filling == NULL) {
        runner->filling = mem_new(struct lane_transaction);
    }
    struct lane_transaction *filling = runner->filling;
    topic_partitions_add(&filling->offsets, source->topic, source->number, effect->offset)
        ->metadata = mem_strdup(effect->metadata);
    vec_push(&filling->epochs, source->epoch);
    vec_push(&filling->sources, source);
    DL_FOREACH_SAFE (runner->caused, held, next) {
        if (held->source != source || !held->event.is_told) {
            continue;
        }
        DL_DELETE(runner->caused, held);
        DL_APPEND(filling->events, &held->caused);
        if (held->event.needs_record) {
            add_record(filling, source, held);
        }
    }
}

void lane_transact_send(struct lane_runner *runner)
{
    if (runner->sent == NULL && runner->filling != NULL) {
        runner->sent = runner->filling;
        runner->filling = NULL;
        runner->bus.transact(runner->bus.context, runner->sent);
    }
}

/* --- what comes out --- */

static void settle(struct lane_runner *runner, struct lane_held *held,
                   const struct lane_said *failed)
{
    held->hand.publications = held->caused.publications;
    held->caused.publications = NULL;
    runner->settings.settled(runner->settings.context, &held->hand, failed);
    held->hand.publications = NULL;
}

void lane_transact_discard(struct lane_runner *runner, struct lane_held *held)
{
    const struct lane_said gone = {.verdict = LANE_DONE};
    held->caused.publications = held->hand.publications;
    settle(runner, held, &gone);
}

static void say_refused(struct lane_said *said, const struct lane_caused *caused)
{
    const struct lane_publication *refused = caused->publications;
    while (refused->next != NULL && refused->error.status == CLIENT_OK) {
        refused = refused->next;
    }
    int code = refused->error.code;
    *said = (struct lane_said){.verdict = LANE_RETRY};
    snprintf(said->error_class, sizeof said->error_class, "publish%s%s", code != 0 ? " " : "",
             code != 0 ? client_code_name(code) : "");
    snprintf(said->message, sizeof said->message,
             "what it published for %.100s was not kept: %.250s", refused->event.topic,
             refused->error.text);
}

static bool are_any_refused(const struct lane_transaction *transaction)
{
    const struct lane_caused *caused = transaction->events;
    while (caused != NULL && !caused->is_refused) {
        caused = caused->next;
    }
    return caused != NULL;
}

/* Those that stay are in front of all others, in their order. */
static void put_back(struct lane_runner *runner, struct lane_held *kept)
{
    DL_CONCAT(kept, runner->caused);
    runner->caused = kept;
}

/* Whose fate is known comes back as a list, what they say filled in; the others wait again. */
static struct lane_held *settle_events(struct lane_runner *runner,
                                       struct lane_transaction *transaction)
{
    struct lane_caused *caused, *next;
    struct lane_held *ended = NULL, *kept = NULL;
    DL_FOREACH_SAFE (transaction->events, caused, next) {
        struct lane_held *held = held_of(caused);
        bool is_owned = held->source->epoch == held->event.epoch;
        DL_DELETE(transaction->events, caused);
        if (transaction->outcome == LANE_COMMITTED) {
            settle(runner, held, NULL);
        } else if (caused->is_refused) {
            say_refused(&held->said, caused);
            settle(runner, held, &held->said);
        } else if (is_owned && transaction->outcome != LANE_UNKNOWN) {
            for (struct lane_publication *p = caused->publications; p != NULL; p = p->next) {
                p->is_settled = false;
                p->error = (struct client_error){0};
            }
            DL_APPEND(kept, held);
            continue;
        } else {
            held->hand.publications = caused->publications;
            lane_transact_discard(runner, held);
        }
        DL_APPEND(ended, held);
    }
    put_back(runner, kept);
    return ended;
}

static void tell_commits(struct lane_runner *runner, const struct lane_transaction *transaction)
{
    bool is_stored = transaction->outcome == LANE_COMMITTED;
    for (size_t i = 0; i < transaction->offsets.count; i++) {
        struct lane_source *source = transaction->sources.items[i];
        if (source->epoch == transaction->epochs.items[i] && source->is_committing) {
            source->is_committing = false;
            lane_committed(runner->machine, source->id, source->epoch, is_stored);
            if (is_stored) {
                runner->tally.commits++;
                lane_obey_committed(source);
            }
        }
    }
}

/* How many go into the next one, and when it is sent. */
static void adapt(struct lane_runner *runner, const struct lane_transaction *transaction)
{
    const struct lane_caused *caused;
    size_t count;
    bool was_limited = runner->caused_most != SIZE_MAX;
    DL_COUNT(transaction->events, caused, count);
    if (transaction->outcome == LANE_COMMITTED) {
        runner->caused_most =
            runner->caused_most < MOST_EVENTS ? runner->caused_most * 2 : SIZE_MAX;
    } else if (transaction->outcome == LANE_REFUSED_EVENTS && !are_any_refused(transaction)) {
        runner->caused_most = count > 1 ? count / 2 : 1;
    }
    if (was_limited || transaction->outcome == LANE_REFUSED_EVENTS) {
        runner->transact_at_ms = 0;
    }
}

/* One that fails now and then is none to tell: the group was balanced, or librdkafka gives up with
 * one that is refused what it is given for the next one. */
static void tell_state(struct lane_runner *runner, const struct lane_transaction *transaction)
{
    enum { TOLD_AFTER = 3 };
    if (transaction->outcome == LANE_ABORTED || transaction->outcome == LANE_UNKNOWN) {
        if (++runner->transact_failures == TOLD_AFTER) {
            lane_tell(runner, LANE_LOG_WARN,
                      "transactions are not committed (%s); progress waits for them and they are "
                      "tried again",
                      transaction->error.text);
        }
        return;
    }
    if (runner->transact_failures >= TOLD_AFTER) {
        lane_tell(runner, LANE_LOG_INFO, "transactions are committed again");
    }
    runner->transact_failures = 0;
}

struct lane_held *lane_transact_answered(struct lane_runner *runner,
                                         struct lane_transaction *transaction)
{
    runner->sent = NULL;
    tell_state(runner, transaction);
    adapt(runner, transaction);
    tell_commits(runner, transaction);
    runner->begins_anew = runner->begins_anew || transaction->outcome == LANE_UNKNOWN;
    struct lane_held *ended = settle_events(runner, transaction);
    transaction_free(transaction);
    return ended;
}

/* --- a source goes --- */

static void drop(struct lane_runner *runner, struct lane_held *held)
{
    held->hand.publications = held->caused.publications;
    lane_transact_discard(runner, held);
    lane_result(runner->machine, &held->event, LANE_RETRY, 0, lane_now_ms(runner));
}

void lane_transaction_leave_out(struct lane_transaction *transaction, size_t index)
{
    struct topic_partition *at = &transaction->offsets.items[index];
    free(at->topic);
    free(at->metadata);
    vec_remove(&transaction->offsets, index);
    vec_remove(&transaction->epochs, index);
    vec_remove(&transaction->sources, index);
}

static void take_out(struct lane_transaction *transaction, const struct lane_source *source)
{
    for (size_t i = transaction->offsets.count; i > 0; i--) {
        if (transaction->sources.items[i - 1] == source) {
            lane_transaction_leave_out(transaction, i - 1);
        }
    }
}

void lane_transact_drop(struct lane_runner *runner, const struct lane_source *source)
{
    struct lane_held *held, *next;
    struct lane_caused *caused, *next_caused;
    struct lane_transaction *filling = runner->filling;
    DL_FOREACH_SAFE (runner->caused, held, next) {
        if (held->source == source) {
            DL_DELETE(runner->caused, held);
            drop(runner, held);
        }
    }
    if (filling == NULL) {
        return;
    }
    DL_FOREACH_SAFE (filling->events, caused, next_caused) {
        if (held_of(caused)->source == source) {
            DL_DELETE(filling->events, caused);
            drop(runner, held_of(caused));
        }
    }
    take_out(filling, source);
    if (filling->offsets.count == 0) {
        transaction_free(filling);
        runner->filling = NULL;
    }
}
