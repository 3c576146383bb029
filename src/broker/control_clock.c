#include "broker/control_words.h"

json_t *control_failure(const char *text)
{
    json_t *error = json_string(text); /* NULL for what is no UTF-8, as a text that was cut */
    error = error != NULL ? error : json_string("refused; the reason has texts that are no UTF-8");
    return json_pack("{s:b,s:o}", "ok", 0, "error", error);
}

static json_t *tell(const struct clock_mover *mover, bool is_done)
{
    const struct movable_clock *movable = clock_mover_clock(mover);
    return json_pack("{s:b,s:I,s:I,s:I,s:b}", "ok", 1, "now_ms",
                     (json_int_t)clock_wall_ms(&movable->clock), "ahead_ms",
                     (json_int_t)atomic_load(&movable->wall_ahead_ms), "timers_ahead_ms",
                     (json_int_t)atomic_load(&movable->mono_ahead_ms), "done", (int)is_done);
}

static json_t *advance(struct clock_mover *mover, const json_t *asked)
{
    const json_t *ms = json_object_get(asked, "advance_ms");
    bool is_done = false;
    struct reason reason;
    if (!json_is_integer(ms)) {
        return control_failure(
            "clock {\"advance_ms\": N, \"calendar_only\": false} moves it forward");
    }
    enum err err = clock_mover_advance(mover, json_integer_value(ms),
                                       json_is_true(json_object_get(asked, "calendar_only")),
                                       &is_done, &reason);
    return err == ERR_NONE ? tell(mover, is_done) : control_failure(reason.text);
}

json_t *control_clock(struct clock_mover *mover, const char *rest)
{
    if (mover == NULL) {
        return control_failure("its clock is the machine's and cannot be moved: only a server for "
                               "tests has one of its own (serve --memory, or --test-clock)");
    }
    if (rest[0] == '\0') {
        return tell(mover, true);
    }
    json_t *asked = json_loads(rest, 0, NULL);
    json_t *answer = advance(mover, asked);
    json_decref(asked);
    return answer;
}
