#include "bus/dead/dead_redrive.h"

#include "base/clock.h"
#include "base/mem.h"
#include "client/admin/admin.h"
#include "client/lane_kafka/lane_word.h"
#include "client/reader/reader.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum { ASK_AHEAD = 512, TURN_MS = 20, TELL_EVERY_MS = 1000 };

/* The token of a word is its choice. */
struct running {
    struct dead_run *run;
    struct dead_writer *writer;
    struct lane_words *words;
    struct reader *tail; /* of the state topic: a cancel comes there */
    VEC(size_t) again;   /* choices whose words were not written: next to be sent */
    size_t next, asked;  /* choices */
    int64_t heard_ms, told_ms;
    bool is_cancelled, is_left;
    struct client_error failure; /* of the last word that was not written */
    struct client_error unkept;  /* why an answer could not be kept; CLIENT_OK: all are */
};

static int64_t wall_ms(void)
{
    return clock_wall_ms(clock_system());
}

static struct dead_fact redrive_of(const struct running *running, const struct dead_choice *choice)
{
    struct dead_fact fact = {.kind = DEAD_FACT_REDRIVE,
                             .event = choice->event,
                             .number = choice->number,
                             .letter = choice->letter,
                             .time_ms = running->run->task.time_ms,
                             .who = running->run->who};
    memcpy(fact.id, running->run->task.id, sizeof fact.id);
    return fact;
}

/* --- answers --- */

static void count(struct running *running, enum dead_outcome outcome)
{
    struct dead_fact *task = &running->run->task;
    task->done += outcome == DEAD_DONE;
    task->failed += outcome == DEAD_FAILED;
    task->refused += outcome == DEAD_REFUSED;
}

static void end_choice(struct running *running, const struct dead_choice *choice,
                       enum dead_outcome outcome, struct slice text, int64_t time_ms)
{
    struct dead_fact fact = redrive_of(running, choice);
    char *copy = text.size > 0 ? mem_strndup((const char *)text.data, text.size) : NULL;
    fact.outcome = outcome;
    fact.text = copy;
    fact.answered_ms = time_ms;
    count(running, outcome);
    if (outcome != DEAD_DONE) {
        snprintf(running->run->why, sizeof running->run->why, "%s", copy != NULL ? copy : "");
    }
    struct client_error error;
    if (dead_writer_put(running->writer, &fact, &error) != CLIENT_OK) {
        running->unkept = error; /* what the owner wrote says the same for a week */
    }
    free(copy);
}

static void on_reply(void *context, const struct lane_reply *reply)
{
    struct running *running = context;
    const struct dead_choice *choice = reply->token;
    if (reply->answer == NULL) {
        if (reply->error->status != CLIENT_CLOSED) {
            running->failure = *reply->error;
            vec_push(&running->again, (size_t)(choice - running->run->plan->choices.items));
        }
        return;
    }
    enum dead_outcome outcome = reply->answer->outcome == LANE_CARRIED_OUT    ? DEAD_DONE
                                : reply->answer->outcome == LANE_FAILED_AGAIN ? DEAD_FAILED
                                                                              : DEAD_REFUSED;
    running->heard_ms = clock_mono_ms(clock_system());
    end_choice(running, choice, outcome, reply->answer->text, reply->answer->time_ms);
}

/* --- asking and sending --- */

/* What is asked for next is durable before any word of it is sent. */
static enum client_status ask_ahead(struct running *running, struct client_error *error)
{
    const struct dead_plan *plan = running->run->plan;
    enum client_status status = CLIENT_OK;
    if (running->next < running->asked) {
        return CLIENT_OK;
    }
    size_t to = running->asked + ASK_AHEAD;
    to = to < plan->choices.count ? to : plan->choices.count;
    for (; status == CLIENT_OK && running->asked < to; running->asked++) {
        struct dead_fact fact = redrive_of(running, &plan->choices.items[running->asked]);
        status = dead_writer_put(running->writer, &fact, error);
    }
    return status == CLIENT_OK ? dead_writer_flush(running->writer, error) : status;
}

static enum client_status send_one(struct running *running, size_t index,
                                   struct client_error *error)
{
    const struct dead_choice *choice = &running->run->plan->choices.items[index];
    const struct lane_word word = {.verb = LANE_SAY_REDRIVE,
                                   .name = {.offset = -1},
                                   .head = choice->event.offset,
                                   .letter = {choice->letter.partition, choice->letter.offset},
                                   .number = choice->number,
                                   .who = slice_str(running->run->who),
                                   .why = slice_str(running->run->task.id)};
    return lane_words_send(running->words, (const char *)choice->event.topic.data,
                           choice->event.partition, &word, (void *)(uintptr_t)choice, error);
}

static bool has_more(const struct running *running)
{
    return !running->is_cancelled &&
           (running->again.count > 0 || running->next < running->run->plan->choices.count);
}

/* As many as are taken now. */
static enum client_status send_more(struct running *running, struct client_error *error)
{
    enum client_status status = CLIENT_OK;
    while (has_more(running)) {
        bool is_again = running->again.count > 0;
        if (!is_again) {
            status = ask_ahead(running, error);
        }
        size_t index = is_again ? running->again.items[0] : running->next;
        if (status == CLIENT_OK) {
            status = send_one(running, index, error);
        }
        if (status == CLIENT_INVALID) {
            end_choice(running, &running->run->plan->choices.items[index], DEAD_REFUSED,
                       slice_str(error->text), wall_ms());
        } else if (status != CLIENT_OK) {
            return status == CLIENT_FULL ? CLIENT_OK : status;
        }
        running->run->task.sent += !is_again;
        running->next += !is_again;
        if (is_again) {
            vec_remove(&running->again, 0);
        }
        status = CLIENT_OK;
    }
    return status;
}

/* --- the task --- */

static enum client_status put_task(struct running *running, struct client_error *error)
{
    running->run->task.changed_ms = wall_ms();
    running->told_ms = clock_mono_ms(clock_system());
    return dead_writer_put(running->writer, &running->run->task, error);
}

static void look_for_cancel(struct running *running)
{
    enum { AT_ONCE = 1000 };
    struct client_error error;
    for (int i = 0; i < AT_ONCE; i++) {
        struct received *received = NULL;
        struct arena arena = {0};
        struct dead_fact fact;
        if (reader_take(running->tail, 0, &received, &error) != CLIENT_OK || received == NULL) {
            return;
        }
        running->is_cancelled |= dead_fact_read(&received->event, &arena, &fact) &&
                                 fact.kind == DEAD_FACT_CANCEL && !fact.is_erased &&
                                 strcmp(fact.id, running->run->task.id) == 0;
        arena_deinit(&arena);
        received_free(received);
    }
}

static bool is_over(const struct running *running)
{
    return !has_more(running) && lane_words_pending(running->words) == 0;
}

static enum client_status loop(struct running *running, struct client_error *error)
{
    struct dead_run *run = running->run;
    int64_t timeout_ms = connection_timeout_ms(lane_words_connection(running->words));
    enum client_status status = CLIENT_OK;
    running->heard_ms = clock_mono_ms(clock_system());
    while (!is_over(running)) {
        running->is_left = run->leaves != NULL && run->leaves(run->context);
        if (running->is_left) {
            return client_fail(error, CLIENT_CLOSED, NULL, "it is left where it is");
        }
        enum client_status sent = send_more(running, error);
        enum client_status served = lane_words_serve(running->words, TURN_MS, error);
        look_for_cancel(running);
        running->is_cancelled |= run->progress != NULL && !run->progress(run->context, &run->task);
        if (sent == CLIENT_FATAL || served == CLIENT_FATAL) {
            return CLIENT_FATAL;
        }
        if (running->unkept.status != CLIENT_OK) {
            *error = running->unkept;
            return error->status;
        }
        if (sent != CLIENT_OK || served != CLIENT_OK) {
            poll(NULL, 0, TURN_MS); /* it may pass */
        }
        int64_t now_ms = clock_mono_ms(clock_system());
        if (now_ms - running->told_ms > TELL_EVERY_MS) {
            status = put_task(running, error);
        }
        if (status != CLIENT_OK || now_ms - running->heard_ms <= timeout_ms) {
            continue;
        }
        if (running->again.count > 0) {
            *error = running->failure;
            return error->status;
        }
        return sent != CLIENT_OK ? sent : lane_words_silence(running->words, NULL, error);
    }
    return status;
}

/* --- life --- */

/* The state topic from its end on. */
static enum client_status open_tail(struct running *running, struct client_error *error)
{
    char topic[LANE_TOPIC_SIZE];
    struct topic_partitions one = {0};
    struct admin_bounds bounds;
    topic_partitions_add(&one, lane_topic_name("dlq-state.", running->run->group, topic), 0, -1);
    enum client_status status =
        admin_bounds(lane_words_connection(running->words), &one, &bounds, error);
    if (status == CLIENT_OK) {
        one.items[0].offset = bounds.end;
        const struct reader_settings settings = {
            .connection = *running->run->connection, .partitions = &one, .fetch_wait_ms = 100};
        status = reader_open(&settings, &running->tail, error);
    }
    topic_partitions_deinit(&one);
    return status;
}

static enum client_status open_all(struct running *running, struct client_error *error)
{
    struct dead_run *run = running->run;
    const struct lane_words_settings settings = {.connection = *run->connection,
                                                 .group = run->group,
                                                 .rate_per_s = (double)run->rate,
                                                 .replied = on_reply,
                                                 .context = running};
    enum client_status status = lane_words_open(&settings, &running->words, error);
    if (status == CLIENT_OK) {
        status = dead_writer_open(run->connection, run->group, &running->writer, error);
    }
    return status == CLIENT_OK ? open_tail(running, error) : status;
}

static void begin_task(struct dead_run *run)
{
    run->why[0] = '\0';
    run->task = (struct dead_fact){.kind = DEAD_FACT_TASK,
                                   .state = "running",
                                   .total = (int64_t)run->plan->choices.count + run->done_before +
                                            run->failed_before,
                                   .sent = run->done_before + run->failed_before,
                                   .done = run->done_before,
                                   .failed = run->failed_before,
                                   .rate = run->rate,
                                   .who = run->who,
                                   .time_ms = run->began_ms > 0 ? run->began_ms : wall_ms()};
    if (run->task_id[0] == '\0') {
        dead_id_draw(run->task_id);
    }
    memcpy(run->task.id, run->task_id, sizeof run->task.id);
    memcpy(run->task.plan, run->plan->id, sizeof run->task.plan);
}

static enum client_status finish(struct running *running, enum client_status status,
                                 struct client_error *error)
{
    struct dead_fact *task = &running->run->task;
    bool is_whole = task->done + task->failed + task->refused == task->total;
    task->state = is_whole ? "done" : running->is_cancelled ? "cancelled" : "stopped";
    enum client_status told = put_task(running, status == CLIENT_OK ? error : NULL);
    if (told == CLIENT_OK) {
        told = dead_writer_flush(running->writer, status == CLIENT_OK ? error : NULL);
    }
    return status == CLIENT_OK ? told : status;
}

enum client_status dead_run(struct dead_run *run, struct client_error *error)
{
    struct running running = {.run = run};
    begin_task(run);
    enum client_status status = open_all(&running, error);
    if (status == CLIENT_OK) {
        status = put_task(&running, error);
    }
    if (status == CLIENT_OK) {
        status = loop(&running, error);
        status = running.is_left ? status : finish(&running, status, error);
    }
    lane_words_close(running.words);
    (void)reader_close(running.tail, NULL);
    dead_writer_close(running.writer);
    vec_deinit(&running.again);
    return status;
}
