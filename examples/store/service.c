#include "service.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CONNECTIONS_MAX = 8, BEATEN_MAX = 5 };

/* What was handled, for those who want to see how far a service is, and how often it came. That it
 * is handled once is the inbox's doing; repeats counts the work that was let through again, but
 * for redrives (of each number once), so it shows whether the inbox holds: it has to be 0. */
static const char processed_events[] =
    "create table if not exists processed_events ("
    " source text, event_id text, type text not null, order_id text not null, topic text not null,"
    " partition bigint not null, position bigint not null, instance text not null,"
    " redrive bigint not null, deliveries bigint not null, repeats bigint not null,"
    " primary key (source, event_id));";

struct shop {
    const struct service *service;
    const struct store_common *common;
    void *self;
    char *tables;
    long slow_ms;
    struct shop_handler {
        struct shop *shop;
        work_fn *handle;
    } handlers[SERVICE_HANDLERS_MAX];

    struct db *outbox_db;
    struct tidings_outbox *outbox;

    pthread_mutex_t lock; /* guards the free connections; there is one for each worker */
    struct db *free[CONNECTIONS_MAX];
    int free_count;
};

/* --- what a handler calls --- */

bool work_fail(struct work *work, const char *error_class, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(work->why, sizeof work->why, format, arguments);
    va_end(arguments);
    work->error_class = error_class;
    return false;
}

bool work_publish(struct work *work, const char *topic, const char *type, const char *what,
                  const struct order *data)
{
    char *json = order_to_json(data);
    char id[ORDER_ID_MAX + 32];
    snprintf(id, sizeof id, "%s.%s", data->id, what);
    struct tidings_message message = {
        .topic = topic,
        .type = type,
        .key = order_key(data),
        .subject = data->id,
        .id = id,
        .cause = work->event,
        .data = json,
        .data_size = strlen(json),
    };
    struct tidings_error error;
    enum tidings_status status =
        tidings_outbox_add(work->tidings, db_tidings(work->db), &message, &error);
    free(json);
    work->was_beaten = status == TIDINGS_CONFLICT;
    return status == TIDINGS_OK || work_fail(work, "outbox", "%s", error.text);
}

/* --- around a handler --- */

static struct db *take_connection(struct shop *shop)
{
    pthread_mutex_lock(&shop->lock);
    struct db *db = shop->free[--shop->free_count];
    pthread_mutex_unlock(&shop->lock);
    return db;
}

static void give_connection(struct shop *shop, struct db *db)
{
    pthread_mutex_lock(&shop->lock);
    shop->free[shop->free_count++] = db;
    pthread_mutex_unlock(&shop->lock);
}

static bool note_processed(struct work *work, const char *instance, bool is_first)
{
    const struct tidings_event *event = work->event;
    return db_run(
        work->db,
        is_first ? "insert into processed_events (source, event_id, type, order_id, topic,"
                   " partition, position, instance, redrive, deliveries, repeats)"
                   " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1, 0)"
                   " on conflict (source, event_id) do update set"
                   " deliveries = processed_events.deliveries + 1,"
                   " repeats = processed_events.repeats + case when processed_events.redrive ="
                   " excluded.redrive then 1 else 0 end, redrive = excluded.redrive"
                 : "insert into processed_events (source, event_id, type, order_id, topic,"
                   " partition, position, instance, redrive, deliveries, repeats)"
                   " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1, 0)"
                   " on conflict (source, event_id) do update set"
                   " deliveries = processed_events.deliveries + 1",
        db_text(event->source), db_text(event->id), db_text(event->type), db_text(work->order.id),
        db_text(event->topic), db_number(event->partition), db_number(event->offset),
        db_text(instance != NULL ? instance : ""), db_number(event->redrive));
}

/* True: it is done, now or before. */
static bool work_do(struct work *work, work_fn *handle, const char *instance)
{
    struct tidings_error error;
    if (!db_begin(work->db)) {
        return false;
    }
    error.status = TIDINGS_OK;
    switch (tidings_once(work->tidings, db_tidings(work->db), work->event, &error)) {
    case TIDINGS_ONCE_FIRST:
        return note_processed(work, instance, true) && handle(work) && db_commit(work->db);
    case TIDINGS_ONCE_BEFORE:
        return note_processed(work, instance, false) && db_commit(work->db);
    case TIDINGS_ONCE_LATE:
        db_rollback(work->db);
        return true;
    case TIDINGS_ONCE_FAILED:
        break;
    }
    work->was_beaten = error.status == TIDINGS_CONFLICT;
    return work_fail(work, "database", "%s", error.text);
}

/* Databases leave it to who uses them to do it again; that is no failure of the event's. */
static bool was_beaten(const struct work *work)
{
    return work->was_beaten || db_was_beaten(work->db);
}

static enum tidings_verdict shop_work(struct shop *shop, struct work *work, work_fn *handle)
{
    enum tidings_verdict verdict = TIDINGS_DONE;
    work->db = take_connection(shop);
    bool is_done = work_do(work, handle, shop->common->instance);
    for (int i = 0; !is_done && was_beaten(work) && i < BEATEN_MAX; i++) {
        db_rollback(work->db);
        work->error_class = NULL;
        work->was_beaten = false;
        is_done = work_do(work, handle, shop->common->instance);
    }
    if (!is_done) {
        db_rollback(work->db);
        verdict = work->error_class != NULL
                      ? tidings_retry(work->event, 0, work->error_class, "%s", work->why)
                      : tidings_retry(work->event, 0, "database", "%s", db_why(work->db));
    }
    give_connection(shop, work->db);
    if (shop->outbox != NULL) {
        tidings_outbox_wake(shop->outbox);
    }
    return verdict;
}

/* A tidings_handler_fn. */
static enum tidings_verdict on_event(struct tidings *tidings, const struct tidings_event *event,
                                     void *context)
{
    const struct shop_handler *handler = context;
    struct shop *shop = handler->shop;
    struct work work = {
        .service = shop->service, .self = shop->self, .tidings = tidings, .event = event};
    struct order_problem problem;
    nanosleep(&(struct timespec){shop->slow_ms / 1000, shop->slow_ms % 1000 * 1000000}, NULL);
    if (!order_from_event(event->data, event->data_size, &work.order, &problem)) {
        return tidings_reject(event, "data", "%s", problem.text);
    }
    const char *poison = shop->common->poison;
    enum tidings_verdict verdict =
        poison != NULL && order_has_article(&work.order, poison)
            ? tidings_retry(event, 0, "poison", "order %s has article %s", work.order.id, poison)
            : shop_work(shop, &work, handler->handle);
    order_deinit(&work.order);
    return verdict;
}

/* --- open and close --- */

/* A database that is away is told, and waited for with each event. */
static void look_for_database(struct db *db)
{
    if (!db_begin(db)) {
        store_complain("the database is away: %s", db_why(db));
    }
    db_rollback(db);
}

static bool connections_open(struct shop *shop)
{
    shop->outbox_db = db_open(shop->common->database, shop->tables);
    if (shop->outbox_db != NULL) {
        look_for_database(shop->outbox_db);
    }
    for (int i = db_writers(shop->common->database); shop->outbox_db != NULL && i > 0; i--) {
        struct db *db = db_open(shop->common->database, shop->tables);
        if (db == NULL) {
            return false;
        }
        shop->free[shop->free_count++] = db;
    }
    return shop->outbox_db != NULL;
}

struct shop *shop_open(const struct service *service, const struct store_common *common,
                       const char *const *values)
{
    struct shop *shop = calloc(1, sizeof *shop);
    if (shop == NULL) {
        abort();
    }
    *shop = (struct shop){.service = service, .common = common};
    pthread_mutex_init(&shop->lock, NULL);
    shop->slow_ms = store_number("slow-ms", common->slow_ms, 0, 3600000);
    shop->self = service->start != NULL ? service->start(values) : (void *)(uintptr_t)values;
    if (asprintf(&shop->tables, "%s%s", processed_events, service->tables) < 0) {
        abort();
    }
    if (!connections_open(shop)) {
        shop_close(shop);
        return NULL;
    }
    return shop;
}

bool shop_register(struct shop *shop, struct tidings *tidings)
{
    struct tidings_error error;
    const struct service_handler *handler = shop->service->handlers;
    for (int i = 0; handler[i].topic != NULL; i++) {
        shop->handlers[i] = (struct shop_handler){shop, handler[i].handle};
        if (tidings_on(tidings, handler[i].topic, handler[i].type, on_event, &shop->handlers[i],
                       &error) != TIDINGS_OK) {
            store_complain("%s", error.text);
            return false;
        }
    }
    return true;
}

void shop_close(struct shop *shop)
{
    while (shop->free_count > 0) {
        db_close(shop->free[--shop->free_count]);
    }
    db_close(shop->outbox_db);
    if (shop->service->start != NULL) {
        free(shop->self);
    }
    pthread_mutex_destroy(&shop->lock);
    free(shop->tables);
    free(shop);
}

static int run(struct shop *shop, struct tidings *tidings)
{
    struct tidings_error error;
    bool ok = shop_register(shop, tidings);
    if (ok && tidings_outbox_start(tidings, db_tidings(shop->outbox_db), NULL, &shop->outbox,
                                   &error) != TIDINGS_OK) {
        store_complain("%s", error.text);
        ok = false;
    }
    if (ok && tidings_run(tidings, &error) != TIDINGS_OK) {
        store_complain("%s", error.text);
        ok = false;
    }
    tidings_outbox_stop(shop->outbox);
    shop->outbox = NULL;
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

int service_main(const struct service *service, int argc, char **argv)
{
    char database[64];
    snprintf(database, sizeof database, "%s.db", service->name);
    struct store_common common = {.database = database, .slow_ms = "0"};
    struct store_option options[STORE_COMMON_OPTIONS_COUNT + SERVICE_OPTIONS_MAX + 1] = {
        STORE_COMMON_OPTIONS(&common)};
    const char *values[SERVICE_OPTIONS_MAX] = {0};
    for (int i = 0; i < SERVICE_OPTIONS_MAX && service->options[i].name != NULL; i++) {
        const struct service_option *its = &service->options[i];
        values[i] = its->value;
        options[STORE_COMMON_OPTIONS_COUNT + i] =
            (struct store_option){its->name, its->argument, its->help, &values[i]};
    }
    store_options(argc, argv, service->about, options);
    struct shop *shop = shop_open(service, &common, values);
    struct tidings *tidings =
        shop != NULL ? store_service_new(service->name, &common, db_writers(common.database))
                     : NULL;
    int status = tidings != NULL ? run(shop, tidings) : EXIT_FAILURE;
    store_service_free(tidings);
    if (shop != NULL) {
        shop_close(shop);
    }
    return status;
}
