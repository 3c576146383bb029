#include "../../unit.h"

#include "lane_fake.h"

#include "base/mem.h"

#include <time.h>
#include <utlist.h>

static const char topic[] = "orders";

struct fake_received {
    struct received received; /* first */
    struct event_header header;
};

/* --- the bus's side --- */

static struct fake_partition *part(struct fake *fake, const struct lane_share *share)
{
    struct fake_partition *partition = &fake->partitions[share->partition];
    assert_string_equal(share->topic, topic);
    return partition->epoch == share->epoch ? partition : NULL;
}

static struct received *next_event(struct fake *fake)
{
    for (int p = 0; p < FAKE_PARTITIONS; p++) {
        struct fake_partition *partition = &fake->partitions[p];
        if (partition->epoch == 0 || partition->is_paused ||
            partition->read >= (int64_t)partition->events.count) {
            continue;
        }
        const struct fake_event *event = &partition->events.items[partition->read];
        struct fake_received *made = mem_new(struct fake_received);
        made->received.epoch = partition->epoch;
        made->received.event = event_blank();
        made->received.event.topic = topic;
        made->received.event.partition = p;
        made->received.event.offset = partition->read++;
        made->received.event.timestamp_ms = 1000;
        made->received.event.key = slice_str(event->key);
        made->received.event.value = slice_str(event->value);
        made->header = (struct event_header){"ce_type", slice_str("Order")};
        made->received.event.headers = &made->header;
        made->received.event.header_count = 1;
        return &made->received;
    }
    return NULL;
}

static void answer_commits(struct fake *fake)
{
    for (int p = 0; p < FAKE_PARTITIONS; p++) {
        struct fake_partition *partition = &fake->partitions[p];
        if (partition->epoch == 0 || partition->marked < 0) {
            continue;
        }
        struct lane_share share = {topic, p, partition->epoch};
        bool is_stored = fake->refuses_commits == 0;
        fake->refuses_commits -= !is_stored;
        fake->now_ms += is_stored ? 0 : fake->refusal_ms;
        if (is_stored) {
            assert_true(partition->marked >= partition->committed);
            partition->committed = partition->marked;
            free(partition->metadata);
            partition->metadata = partition->marked_metadata;
            partition->marked_metadata = NULL;
        }
        partition->marked = -1;
        lane_bus_committed(fake->runner, &share, is_stored);
    }
}

static enum client_status take(void *context, int timeout_ms, struct received **received,
                               struct client_error *error)
{
    struct fake *fake = context;
    (void)error;
    answer_commits(fake);
    *received = next_event(fake);
    if (*received == NULL && timeout_ms > 0) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 2000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_mutex_lock(&fake->lock);
        while (!fake->is_woken &&
               pthread_cond_timedwait(&fake->changed, &fake->lock, &until) == 0) {
        }
        fake->is_woken = false;
        pthread_mutex_unlock(&fake->lock);
    }
    return CLIENT_OK;
}

static void release(void *context, struct received *received)
{
    (void)context;
    free(received);
}

static bool mark(void *context, const struct lane_share *share, int64_t offset,
                 const char *metadata)
{
    struct fake_partition *partition = part(context, share);
    if (partition == NULL) {
        return false;
    }
    partition->marked = offset;
    free(partition->marked_metadata);
    partition->marked_metadata = mem_strdup(metadata);
    return true;
}

static void commit(void *context)
{
    answer_commits(context);
}

static bool set_pause(void *context, const struct lane_share *share, bool pauses)
{
    struct fake_partition *partition = part(context, share);
    if (partition != NULL) {
        partition->is_paused = pauses;
    }
    return partition != NULL;
}

/* A copy of what is buried, at the end of dlq.<group>. */
static void keep_letter(struct fake *fake, const struct event *letter)
{
    struct fake_letter *kept = vec_add(&fake->dead);
    struct arena *arena = &kept->arena;
    kept->event = *letter;
    kept->event.key =
        slice_is_null(letter->key) ? letter->key : slice_str(arena_cstr(arena, letter->key));
    kept->event.value = slice_str(arena_cstr(arena, letter->value));
    kept->event.headers = arena_alloc_array(arena, letter->header_count, sizeof *letter->headers);
    for (size_t i = 0; i < letter->header_count; i++) {
        const struct event_header *from = &letter->headers[i];
        kept->event.headers[i].name = arena_cstr(arena, slice_str(from->name));
        kept->event.headers[i].value = slice_str(arena_cstr(arena, from->value));
    }
}

/* They outlive what reads them. */
static void load_letter(void *context, const struct lane_share *share, struct lane_letter letter,
                        void *token)
{
    struct fake *fake = context;
    struct lane_mail *mail = lane_mail_new(LANE_MAIL_LETTER, token);
    (void)share;
    mail->is_gone = letter.offset >= (int64_t)fake->dead.count;
    mail->is_done = !mail->is_gone && fake->fails_letters == 0;
    fake->fails_letters -= fake->fails_letters > 0;
    if (mail->is_done) {
        mail->record.event = fake->dead.items[letter.offset].event;
    } else {
        snprintf(mail->why, sizeof mail->why, "away");
    }
    lane_runner_post(fake->runner, mail);
}

static void bounds(void *context, const struct lane_share *share)
{
    struct fake *fake = context;
    struct lane_mail *mail = lane_mail_new(LANE_MAIL_START, NULL);
    mail->share = *share;
    mail->position = fake->start;
    lane_runner_post(fake->runner, mail);
}

static void post_record(struct fake *fake, const struct lane_share *share, size_t at)
{
    const struct fake_record *record = &fake->lanes.items[at];
    struct lane_mail *mail = lane_mail_new(LANE_MAIL_RECORD, NULL);
    struct lane_record_key key;
    assert_true(lane_record_key_read(buf_slice(&record->key), &key));
    mail->share = *share;
    mail->id = key.id;
    mail->is_erased = !record->has_value;
    if (record->has_value) {
        assert_int_equal(lane_record_read(buf_slice(&record->value), &mail->arena, &mail->record),
                         ERR_NONE);
    }
    mail->place =
        (struct lane_place){.position = (int64_t)at, .bytes = 100, .time_ms = record->time_ms};
    lane_runner_post(fake->runner, mail);
}

static void watch(void *context, const struct lane_share *share)
{
    struct fake *fake = context;
    struct lane_mail *end = lane_mail_new(LANE_MAIL_END, NULL);
    part(fake, share)->is_watched = true;
    for (size_t i = 0; i < fake->lanes.count; i++) {
        if (fake->lanes.items[i].partition == share->partition) {
            post_record(fake, share, i);
        }
    }
    end->share = *share;
    lane_runner_post(fake->runner, end);
}

static void unwatch(void *context, const struct lane_share *share)
{
    struct fake *fake = context;
    fake->partitions[share->partition].is_watched = false;
}

static void load(void *context, const struct lane_share *share, int64_t position, void *token)
{
    struct fake *fake = context;
    struct lane_mail *mail = lane_mail_new(LANE_MAIL_LOADED, token);
    const struct fake_record *record = &fake->lanes.items[position];
    (void)share;
    mail->is_done = fake->fails_loads == 0;
    fake->fails_loads -= !mail->is_done;
    fake->failed_loads = !mail->is_done;
    if (mail->is_done) {
        assert_int_equal(lane_record_read(buf_slice(&record->value), &mail->arena, &mail->record),
                         ERR_NONE);
    } else {
        snprintf(mail->why, sizeof mail->why, "away");
    }
    lane_runner_post(fake->runner, mail);
}

static size_t put_record(struct fake *fake, int partition, struct slice key, struct slice value)
{
    struct fake_record record = {
        .partition = partition, .has_value = !slice_is_null(value), .time_ms = fake->now_ms};
    buf_append_slice(&record.key, key);
    if (record.has_value) {
        buf_append_slice(&record.value, value);
    }
    vec_push(&fake->lanes, record);
    return fake->lanes.count - 1;
}

static enum client_status append(void *context, const struct lane_share *share, struct slice key,
                                 struct slice value, void *token, struct client_error *error)
{
    struct fake *fake = context;
    struct lane_mail *mail = lane_mail_new(LANE_MAIL_APPENDED, token);
    (void)error;
    mail->is_done = fake->fails_appends == 0;
    fake->fails_appends -= !mail->is_done;
    if (mail->is_done) {
        mail->position = (int64_t)put_record(fake, share->partition, key, value);
        if (fake->partitions[share->partition].is_watched) {
            post_record(fake, share, (size_t)mail->position);
        }
    } else {
        snprintf(mail->why, sizeof mail->why, "no room");
    }
    lane_runner_post(fake->runner, mail);
    return CLIENT_OK;
}

static enum client_status bury(void *context, const struct event *letter, void *token,
                               struct client_error *error)
{
    struct fake *fake = context;
    struct lane_mail *mail = lane_mail_new(LANE_MAIL_BURIED, token);
    (void)error;
    mail->is_done = fake->fails_burials == 0;
    fake->fails_burials -= !mail->is_done;
    if (mail->is_done) {
        struct buf line = {0};
        buf_printf(&line, "%s %.*s %.*s", letter->topic, SLICE_ARGS(letter->key),
                   SLICE_ARGS(letter->value));
        for (size_t i = 0; i < letter->header_count; i++) {
            buf_printf(&line, " %s=%.*s", letter->headers[i].name,
                       SLICE_ARGS(letter->headers[i].value));
        }
        buf_cstr(&line);
        mail->position = (int64_t)fake->letters.count;
        vec_push(&fake->letters, line);
        keep_letter(fake, letter);
    } else {
        snprintf(mail->why, sizeof mail->why, "no room");
    }
    lane_runner_post(fake->runner, mail);
    return CLIENT_OK;
}

/* --- transactions --- */

static bool is_refused(const struct fake *fake, const struct lane_publication *publication)
{
    char number[24];
    const char *at = strchr((const char *)publication->event.value.data, '/');
    snprintf(number, sizeof number, "/%lld", (long long)fake->refused_offset);
    return strcmp(at, number) == 0;
}

static enum lane_transacted look_at_caused(struct fake *fake, struct lane_transaction *transaction)
{
    struct lane_caused *caused;
    size_t count = 0;
    enum lane_transacted outcome = LANE_COMMITTED;
    DL_COUNT(transaction->events, caused, count);
    fake->largest = count > fake->largest ? count : fake->largest;
    DL_FOREACH (transaction->events, caused) {
        if (is_refused(fake, caused->publications)) {
            client_fail(&caused->publications->error, CLIENT_REFUSED, NULL, "too large");
            caused->is_refused = fake->knows_refused || count == 1;
            outcome = LANE_REFUSED_EVENTS;
        }
    }
    return outcome;
}

static void apply(struct fake *fake, struct lane_transaction *transaction)
{
    struct lane_caused *caused;
    DL_FOREACH (transaction->events, caused) {
        for (struct lane_publication *p = caused->publications; p != NULL; p = p->next) {
            buf_printf(&fake->published, "%.*s ", SLICE_ARGS(p->event.value));
        }
    }
    for (size_t i = 0; i < transaction->offsets.count; i++) {
        const struct topic_partition *at = &transaction->offsets.items[i];
        struct fake_partition *partition = &fake->partitions[at->partition];
        assert_true(at->offset >= partition->committed);
        partition->committed = at->offset;
        free(partition->metadata);
        partition->metadata = mem_strdup(at->metadata);
    }
    for (size_t i = 0; i < transaction->records.count; i++) {
        const struct lane_transaction_record *record = &transaction->records.items[i];
        const struct fake_partition *partition = &fake->partitions[record->partition];
        struct lane_share share = {topic, record->partition, partition->epoch};
        size_t at =
            put_record(fake, record->partition, buf_slice(&record->key), buf_slice(&record->value));
        if (partition->is_watched) {
            post_record(fake, &share, at);
        }
    }
}

/* As a bus does: not of a member whose partition is another one's. */
static bool are_its(const struct fake *fake, const struct lane_transaction *transaction)
{
    bool are_its = true;
    for (size_t i = 0; i < transaction->offsets.count; i++) {
        const struct topic_partition *at = &transaction->offsets.items[i];
        are_its &= fake->partitions[at->partition].epoch == transaction->epochs.items[i];
    }
    return are_its;
}

static void answer_transaction(struct fake *fake, struct lane_transaction *transaction)
{
    enum lane_transacted outcome =
        fake->outcome_count > 0 ? fake->outcomes[--fake->outcome_count] : LANE_COMMITTED;
    outcome = are_its(fake, transaction) ? outcome : LANE_ABORTED;
    outcome = outcome == LANE_COMMITTED ? look_at_caused(fake, transaction) : outcome;
    if (outcome == LANE_COMMITTED || (outcome == LANE_UNKNOWN && fake->commits_unknown)) {
        apply(fake, transaction);
    }
    if (outcome != LANE_COMMITTED) {
        client_fail(&transaction->error, CLIENT_UNREACHABLE, NULL, "as told");
    }
    fake->transactions++;
    transaction->outcome = outcome;
    lane_runner_post(fake->runner, lane_mail_new(LANE_MAIL_TRANSACTED, transaction));
}

static void transact(void *context, struct lane_transaction *transaction)
{
    struct fake *fake = context;
    assert_null(fake->held);
    if (fake->holds && transaction->events != NULL) {
        fake->held = transaction;
    } else {
        answer_transaction(fake, transaction);
    }
}

void fake_go_on(struct fake *fake)
{
    struct lane_transaction *held = fake->held;
    fake->held = NULL;
    fake->holds = false;
    if (held != NULL) {
        answer_transaction(fake, held);
    }
}

static void begin_anew(void *context)
{
    struct fake *fake = context;
    for (int p = 0; p < FAKE_PARTITIONS; p++) {
        if (fake->partitions[p].epoch != 0) {
            fake_assign(fake, p);
        }
    }
}

struct fake_publication {
    struct lane_publication publication; /* first */
    char text[64];
};

static void publish(struct lane_hand *hand)
{
    const struct event *event = &hand->received->event;
    struct fake_publication *made = mem_new(struct fake_publication);
    snprintf(made->text, sizeof made->text, "%.*s/%lld", SLICE_ARGS(event->key),
             (long long)event->offset);
    made->publication.event = event_blank();
    made->publication.event.topic = "out";
    made->publication.event.value = slice_str(made->text);
    hand->publications = &made->publication;
}

static void settled(void *context, struct lane_hand *hand, const struct lane_said *failed)
{
    struct fake *fake = context;
    fake->refused += failed != NULL && failed->verdict == LANE_RETRY;
    fake->given_back += failed != NULL && failed->verdict == LANE_DONE;
    assert_non_null(hand->publications);
    free(hand->publications);
}

static void wake(void *context)
{
    struct fake *fake = context;
    pthread_mutex_lock(&fake->lock);
    fake->is_woken = true;
    pthread_cond_broadcast(&fake->changed);
    pthread_mutex_unlock(&fake->lock);
}

/* --- the service's side --- */

static int classify(void *context, const struct event *event)
{
    (void)context;
    return slice_equal_str(event->value, "foreign") ? -1 : 0;
}

static bool is_failing(struct fake_event *event)
{
    int fails = 0;
    return sscanf(event->value, "fail %d", &fails) == 1 && event->tries++ < fails;
}

static bool handle(void *context, struct lane_hand *hand, struct lane_said *said)
{
    struct fake *fake = context;
    const struct event *event = &hand->received->event;
    pthread_mutex_lock(&fake->lock);
    struct fake_event *its = &fake->partitions[event->partition].events.items[event->offset];
    fake->running++;
    pthread_cond_broadcast(&fake->changed);
    fake->blocked++;
    while (strcmp(its->value, "wait") == 0 && !fake->is_open) {
        pthread_cond_wait(&fake->changed, &fake->lock);
    }
    fake->blocked--;
    assert_true(slice_equal_str(event->value, its->value));
    assert_true(hand->fence > 0);
    fake->redrive = hand->redrive > 0 ? hand->redrive : fake->redrive;
    bool is_away = strcmp(its->value, "away") == 0 && !fake->is_open;
    bool is_poison =
        strcmp(its->value, "reject") == 0 || (strcmp(its->value, "poison") == 0 && !fake->is_open);
    if (is_away || is_failing(its) || is_poison) {
        said->verdict = is_poison ? LANE_REJECT : LANE_RETRY;
        snprintf(said->error_class, sizeof said->error_class, "test");
        snprintf(said->message, sizeof said->message, "as told");
    } else {
        buf_printf(&fake->effects, "%.*s%d ", SLICE_ARGS(event->key), (int)event->offset);
        if (fake->settings.transacts && strcmp(its->value, "quiet") != 0) {
            publish(hand);
        }
    }
    bool is_later = strcmp(its->value, "later") == 0;
    fake->running--;
    pthread_mutex_unlock(&fake->lock);
    if (is_later) {
        lane_runner_later(fake->runner, hand);
        pthread_mutex_lock(&fake->lock);
        vec_push(&fake->later, hand);
        pthread_mutex_unlock(&fake->lock);
    }
    return !is_later;
}

static void keep_line(void *context, enum lane_log_level level, const char *text)
{
    struct fake *fake = context;
    buf_printf(&fake->lines, "%d %s\n", (int)level, text);
}

static int64_t clock_ms(void *context)
{
    const struct fake *fake = context;
    return fake->now_ms;
}

/* --- the test's side --- */

void fake_init(struct fake *fake)
{
    static const char *const names[] = {"orders"};
    *fake = (struct fake){.now_ms = 1700000000000, .refused_offset = -1};
    pthread_mutex_init(&fake->lock, NULL);
    pthread_cond_init(&fake->changed, NULL);
    fake->clock = (struct clock){fake, clock_ms, clock_ms};
    fake->settings = (struct lane_runner_settings){.group = "email",
                                                   .handler_names = names,
                                                   .classify = classify,
                                                   .handle = handle,
                                                   .settled = settled,
                                                   .log = keep_line,
                                                   .context = fake,
                                                   .clock = &fake->clock};
    lane_settings_init(&fake->settings.lanes);
    for (int p = 0; p < FAKE_PARTITIONS; p++) {
        fake->partitions[p].marked = -1;
    }
}

static void free_events(struct fake_partition *partition)
{
    for (size_t i = 0; i < partition->events.count; i++) {
        free(partition->events.items[i].key);
        free(partition->events.items[i].value);
    }
    vec_deinit(&partition->events);
}

void fake_deinit(struct fake *fake)
{
    for (int p = 0; p < FAKE_PARTITIONS; p++) {
        struct fake_partition *partition = &fake->partitions[p];
        free_events(partition);
        free(partition->metadata);
        free(partition->marked_metadata);
    }
    for (size_t i = 0; i < fake->lanes.count; i++) {
        buf_deinit(&fake->lanes.items[i].key);
        buf_deinit(&fake->lanes.items[i].value);
    }
    for (size_t i = 0; i < fake->letters.count; i++) {
        buf_deinit(&fake->letters.items[i]);
    }
    vec_deinit(&fake->later);
    for (size_t i = 0; i < fake->dead.count; i++) {
        arena_deinit(&fake->dead.items[i].arena);
    }
    vec_deinit(&fake->dead);
    vec_deinit(&fake->lanes);
    vec_deinit(&fake->letters);
    buf_deinit(&fake->published);
    buf_deinit(&fake->effects);
    buf_deinit(&fake->lines);
    pthread_cond_destroy(&fake->changed);
    pthread_mutex_destroy(&fake->lock);
}

void fake_publish(struct fake *fake, int partition, const char *key, const char *value)
{
    vec_push(&fake->partitions[partition].events,
             (struct fake_event){.key = mem_strdup(key), .value = mem_strdup(value)});
}

void fake_assign(struct fake *fake, int number)
{
    struct fake_partition *partition = &fake->partitions[number];
    partition->epoch = ++fake->last_epoch;
    partition->read = partition->committed;
    partition->is_paused = false;
    partition->marked = -1;
    struct lane_share share = {topic, number, partition->epoch};
    lane_bus_assigned(fake->runner, &share, partition->committed, partition->metadata, false);
}

void fake_make_again(struct fake *fake, int number)
{
    struct fake_partition *partition = &fake->partitions[number];
    struct fake_partition before = *partition;
    memset(&partition->events, 0, sizeof partition->events);
    partition->epoch = ++fake->last_epoch;
    partition->read = partition->committed = 0;
    partition->marked = -1;
    struct lane_share share = {topic, number, partition->epoch};
    lane_bus_assigned(fake->runner, &share, 0, NULL, true);
    fake_turns(fake, 1, 0); /* nobody has an event of before any more */
    free_events(&before);
}

void fake_revoke(struct fake *fake, int number, bool is_lost)
{
    struct fake_partition *partition = &fake->partitions[number];
    struct lane_share share = {topic, number, partition->epoch};
    lane_bus_revoked(fake->runner, &share, 1, is_lost);
    if (!is_lost) {
        answer_commits(fake);
    }
    partition->epoch = 0;
}

void fake_start(struct fake *fake)
{
    const struct lane_bus bus = {.context = fake,
                                 .take = take,
                                 .release = release,
                                 .mark = mark,
                                 .commit = commit,
                                 .pause = set_pause,
                                 .watch = watch,
                                 .unwatch = unwatch,
                                 .load = load,
                                 .load_letter = load_letter,
                                 .bounds = bounds,
                                 .append = append,
                                 .bury = bury,
                                 .transact = transact,
                                 .begin_anew = begin_anew,
                                 .wake = wake};
    struct client_error error;
    assert_int_equal(lane_runner_new(&fake->settings, &fake->runner, &error), CLIENT_OK);
    lane_runner_set_bus(fake->runner, &bus);
    fake_assign(fake, 0);
}

void fake_kill(struct fake *fake)
{
    for (int p = 0; p < FAKE_PARTITIONS; p++) {
        struct fake_partition *partition = &fake->partitions[p];
        if (partition->epoch != 0) {
            struct lane_share share = {topic, p, partition->epoch};
            partition->epoch = 0; /* nothing of what follows reaches the group */
            lane_bus_revoked(fake->runner, &share, 1, true);
        }
    }
    fake_open_gate(fake);
    fake_go_on(fake);
    fake_stop(fake);
    fake->is_open = false;
}

void fake_stop(struct fake *fake)
{
    lane_runner_end(fake->runner);
    lane_runner_free(fake->runner);
    fake->runner = NULL;
    for (int p = 0; p < FAKE_PARTITIONS; p++) {
        fake->partitions[p].epoch = 0;
    }
}

static size_t idle(struct fake *fake)
{
    pthread_mutex_lock(&fake->lock);
    size_t count = (size_t)(fake->blocked + fake->failed_loads);
    pthread_mutex_unlock(&fake->lock);
    return count;
}

/* One turn, and as many as it takes until all handlers are through. */
static void turn(struct fake *fake)
{
    do {
        assert_int_equal(lane_runner_turn(fake->runner, 5, NULL), CLIENT_OK);
    } while (lane_runner_counts(fake->runner).running > idle(fake));
}

void fake_until(struct fake *fake, bool (*holds)(struct fake *fake), int64_t step_ms)
{
    enum { TURNS = 20000 };
    for (int i = 0; i < TURNS; i++) {
        turn(fake);
        pthread_mutex_lock(&fake->lock);
        bool is_so = holds(fake);
        pthread_mutex_unlock(&fake->lock);
        if (is_so) {
            return;
        }
        fake->now_ms += step_ms;
    }
    fail_msg("it never came to that; effects: %s; log: %s", buf_cstr(&fake->effects),
             buf_cstr(&fake->lines));
}

void fake_turns(struct fake *fake, int count, int64_t step_ms)
{
    for (int i = 0; i < count; i++) {
        turn(fake);
        fake->now_ms += step_ms;
    }
}

void fake_open_gate(struct fake *fake)
{
    pthread_mutex_lock(&fake->lock);
    fake->is_open = true;
    pthread_cond_broadcast(&fake->changed);
    pthread_mutex_unlock(&fake->lock);
}

void fake_say_later(struct fake *fake)
{
    const struct lane_said done = {0};
    for (size_t i = 0; i < fake->later.count; i++) { /* no handler is at work */
        lane_runner_say(fake->runner, fake->later.items[i], &done);
    }
    fake->later.count = 0;
}

char *fake_effects(struct fake *fake)
{
    pthread_mutex_lock(&fake->lock);
    char *effects = mem_strdup(buf_cstr(&fake->effects));
    pthread_mutex_unlock(&fake->lock);
    return effects;
}

int fake_count(const struct fake *fake, enum lane_record_kind kind)
{
    int count = 0;
    for (size_t i = 0; i < fake->lanes.count; i++) {
        const struct fake_record *record = &fake->lanes.items[i];
        bool is_erased = !record->has_value || record->value.data[1] != kind;
        for (size_t j = i + 1; j < fake->lanes.count && !is_erased; j++) {
            is_erased = slice_equal(buf_slice(&record->key), buf_slice(&fake->lanes.items[j].key));
        }
        count += !is_erased;
    }
    return count;
}

void fake_put(struct fake *fake, int partition, struct lane_record_id id,
              const struct lane_record *record)
{
    struct buf key = {0}, value = {0};
    lane_record_key_write(
        &(struct lane_record_key){.id = id, .topic = slice_str(topic), .partition = partition},
        &key);
    if (record != NULL) {
        lane_record_write(record, &value);
    }
    size_t at = put_record(fake, partition, buf_slice(&key),
                           record != NULL ? buf_slice(&value) : (struct slice){0});
    struct lane_share share = {topic, partition, fake->partitions[partition].epoch};
    if (fake->partitions[partition].is_watched) {
        post_record(fake, &share, at);
    }
    buf_deinit(&key);
    buf_deinit(&value);
}

void fake_put_mark(struct fake *fake, int partition, int64_t fence)
{
    fake_put(fake, partition, (struct lane_record_id){(uint64_t)fence, 1},
             &(struct lane_record){.kind = LANE_RECORD_MARK, .fence = fence});
}

int fake_setup(void **state)
{
    struct fake *fake = malloc(sizeof *fake);
    fake_init(fake);
    *state = fake;
    return 0;
}

int fake_teardown(void **state)
{
    fake_deinit(*state);
    free(*state);
    return 0;
}
