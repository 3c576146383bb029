#include "client/runner/lane_runner_inside.h"

#include "base/mem.h"

#include <inttypes.h>

enum { LOAD_AGAIN_MS = 1000 };

/* An event that is read from lanes.<group>. */
struct lane_load {
    struct lane_load *next, *prev;
    struct lane_source *source;
    int64_t epoch;
    int64_t position;
    struct lane *lane;
    bool is_asked;
    int64_t at_ms; /* monotonic: when to ask again */
};

static void ask(struct lane_runner *runner, struct lane_load *load)
{
    struct lane_share share = lane_source_share(load->source);
    load->is_asked = true;
    runner->bus.load(runner->bus.context, &share, load->position, load);
}

void lane_load_start(struct lane_runner *runner, const struct lane_effect *effect)
{
    struct lane_load *load = mem_new(struct lane_load);
    load->source = runner->sources.items[effect->partition];
    load->epoch = effect->epoch;
    load->position = effect->position;
    load->lane = effect->lane;
    DL_APPEND(runner->loads, load);
    ask(runner, load);
}

/* The machine gets the event, or something to let go when it is nobody's any more. */
static void end_load(struct lane_runner *runner, struct lane_load *load, struct lane_held *held)
{
    DL_DELETE(runner->loads, load);
    lane_loaded(runner->machine, load->lane, &held->event);
    free(load);
}

void lane_load_answered(struct lane_runner *runner, struct lane_mail *mail)
{
    struct lane_load *load = mail->token;
    struct lane_source *source = load->source;
    bool is_owned = source->epoch == load->epoch;
    bool is_read = mail->is_done && mail->record.kind == LANE_RECORD_ASIDE;
    load->is_asked = false;
    if (!is_owned) {
        end_load(runner, load, mem_new(struct lane_held));
    } else if (is_read) {
        end_load(runner, load, lane_held_load(runner, source, mail));
    } else {
        if (load->at_ms == 0) {
            lane_tell(runner, LANE_LOG_ERROR,
                      "%s/%d: the event set aside at %" PRId64
                      " cannot be read (%s); its lane waits and it is tried again",
                      source->topic, (int)source->number, load->position, mail->why);
        }
        load->at_ms = clock_mono_ms(runner->clock) + LOAD_AGAIN_MS;
    }
}

void lane_loads_due(struct lane_runner *runner)
{
    struct lane_load *load;
    int64_t now_ms = clock_mono_ms(runner->clock);
    DL_FOREACH (runner->loads, load) {
        if (!load->is_asked && now_ms >= load->at_ms) {
            ask(runner, load);
        }
    }
}

void lane_loads_drop(struct lane_runner *runner, const struct lane_source *source)
{
    struct lane_load *load, *next;
    DL_FOREACH_SAFE (runner->loads, load, next) {
        if (load->source == source && !load->is_asked) {
            end_load(runner, load, mem_new(struct lane_held));
        }
    }
}
