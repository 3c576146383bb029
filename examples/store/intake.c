#include "intake.h"

#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char tables[] = "create table if not exists orders ("
                             " order_id text primary key, json text not null,"
                             " is_cancelled bigint not null default 0);";

bool intake_open(struct intake *intake, struct tidings *service, const char *database)
{
    struct tidings_error error;
    *intake = (struct intake){.service = service};
    pthread_mutex_init(&intake->lock, NULL);
    intake->db = db_open(database, tables);
    intake->outbox_db = intake->db != NULL ? db_open(database, tables) : NULL;
    bool ok = intake->outbox_db != NULL;
    if (ok && tidings_outbox_start(service, db_tidings(intake->outbox_db), NULL, &intake->outbox,
                                   &error) != TIDINGS_OK) {
        store_complain("%s", error.text);
        ok = false;
    }
    if (!ok) {
        intake_close(intake);
    }
    return ok;
}

void intake_close(struct intake *intake)
{
    tidings_outbox_stop(intake->outbox);
    db_close(intake->outbox_db);
    db_close(intake->db);
    pthread_mutex_destroy(&intake->lock);
}

static bool failed(const struct intake *intake, struct order_problem *problem)
{
    snprintf(problem->text, sizeof problem->text, "database: %.150s", db_why(intake->db));
    return false;
}

bool intake_begin(struct intake *intake, struct order_problem *problem)
{
    pthread_mutex_lock(&intake->lock);
    if (!db_begin(intake->db)) {
        failed(intake, problem);
        pthread_mutex_unlock(&intake->lock);
        return false;
    }
    return true;
}

bool intake_commit(struct intake *intake, struct order_problem *problem)
{
    bool was_ok = db_ok(intake->db); /* else what failed is in the problem already */
    bool ok = db_commit(intake->db) || (was_ok && failed(intake, problem));
    pthread_mutex_unlock(&intake->lock);
    tidings_outbox_wake(intake->outbox);
    return ok;
}

/* An id made from the order's: whoever hears the event twice knows. */
static bool publish(struct intake *intake, const struct order *order, const char *json,
                    struct order_problem *problem)
{
    char id[ORDER_ID_MAX + 32], placed[ORDER_ID_MAX + 32];
    bool is_return = order_is_return(order);
    snprintf(id, sizeof id, "%s.%s", order->id, is_return ? "cancelled" : "placed");
    snprintf(placed, sizeof placed, "%s.placed", order->id);
    struct tidings_message message = {
        .topic = "orders",
        .type = is_return ? "OrderCancelled" : "OrderPlaced",
        .key = order_key(order),
        .subject = order->id,
        .id = id,
        .correlation_id = order->cancels != NULL ? placed : NULL,
        .data = json,
        .data_size = strlen(json),
    };
    struct tidings_error error;
    bool ok =
        tidings_outbox_add(intake->service, db_tidings(intake->db), &message, &error) == TIDINGS_OK;
    if (!ok) {
        snprintf(problem->text, sizeof problem->text, "outbox: %.150s", error.text);
        db_rollback(intake->db);
    }
    return ok;
}

/* Finds an order that was taken; *known is empty when there is none. */
static bool find(struct intake *intake, const char *order_id, struct order *known,
                 bool *is_cancelled)
{
    struct order_problem problem;
    *known = (struct order){0};
    db_run(intake->db, "select json, is_cancelled from orders where order_id = $1",
           db_text(order_id));
    if (!db_row(intake->db)) {
        return false;
    }
    const char *json = db_row_text(intake->db, 0);
    *is_cancelled = db_row_number(intake->db, 1) != 0;
    return order_from_json(json, strlen(json), known, &problem);
}

static void stamp(struct order *order, const char *time_known)
{
    char now[32];
    struct tm utc;
    if (order->ordered_at == NULL) {
        gmtime_r(&(time_t){time(NULL)}, &utc);
        strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%S", &utc);
        order->ordered_at = strdup(time_known != NULL ? time_known : now);
    }
}

/* Is the order that comes now the one that is known by its id? */
static enum intake_answer compare(const struct order *known, const struct order *order,
                                  struct order_problem *problem)
{
    char *before = order_to_json(known), *now = order_to_json(order);
    bool is_same = strcmp(before, now) == 0;
    free(before);
    free(now);
    if (!is_same) {
        snprintf(problem->text, sizeof problem->text, "another order has the id %s", order->id);
    }
    return is_same ? INTAKE_KNOWN : INTAKE_REFUSED;
}

static enum intake_answer take(struct intake *intake, const struct order *order,
                               struct order_problem *problem)
{
    char *json = order_to_json(order);
    bool ok = db_run(intake->db, "insert into orders (order_id, json) values ($1, $2)",
                     db_text(order->id), db_text(json)) ||
              failed(intake, problem);
    ok = ok && publish(intake, order, json, problem);
    free(json);
    return ok ? INTAKE_TAKEN : INTAKE_FAILED;
}

enum intake_answer intake_place(struct intake *intake, struct order *order,
                                struct order_problem *problem)
{
    struct order known;
    bool is_cancelled;
    if (order->cancels != NULL) {
        snprintf(problem->text, sizeof problem->text, "an order is cancelled at /orders/ID/cancel");
        return INTAKE_REFUSED;
    }
    if (!order_is_clear(order)) {
        snprintf(problem->text, sizeof problem->text,
                 "an order has either positive quantities or, as a return, negative ones");
        return INTAKE_REFUSED;
    }
    bool is_known = find(intake, order->id, &known, &is_cancelled);
    stamp(order, known.ordered_at);
    enum intake_answer answer =
        is_known ? compare(&known, order, problem) : take(intake, order, problem);
    order_deinit(&known);
    return answer;
}

/* The order's mirror: what was to go comes back. */
static enum intake_answer cancel(struct intake *intake, struct order *order,
                                 struct order_problem *problem)
{
    order->cancels = strdup(order->id);
    for (size_t i = 0; i < order->line_count; i++) {
        order->lines[i].quantity = -order->lines[i].quantity;
    }
    char *json = order_to_json(order);
    bool ok = db_run(intake->db, "update orders set is_cancelled = 1 where order_id = $1",
                     db_text(order->id)) ||
              failed(intake, problem);
    ok = ok && publish(intake, order, json, problem);
    free(json);
    return ok ? INTAKE_TAKEN : INTAKE_FAILED;
}

enum intake_answer intake_cancel(struct intake *intake, const char *order_id,
                                 struct order_problem *problem)
{
    struct order order;
    bool is_cancelled;
    enum intake_answer answer;
    if (!find(intake, order_id, &order, &is_cancelled)) {
        snprintf(problem->text, sizeof problem->text, "there is no order %s", order_id);
        answer = db_ok(intake->db) ? INTAKE_UNKNOWN : INTAKE_FAILED;
    } else if (order_is_return(&order)) {
        snprintf(problem->text, sizeof problem->text, "%s is a return", order_id);
        answer = INTAKE_REFUSED;
    } else {
        answer = is_cancelled ? INTAKE_KNOWN : cancel(intake, &order, problem);
    }
    order_deinit(&order);
    return answer;
}

char *intake_find(struct intake *intake, const char *order_id, bool *is_cancelled)
{
    struct order order;
    bool is_there = find(intake, order_id, &order, is_cancelled);
    char *json = is_there ? order_to_json(&order) : NULL;
    order_deinit(&order);
    return json;
}

bool intake_date(const char *text, char iso[20])
{
    int year, month, day, hour = 0, minute = 0, second = 0, end = 0;
    char mark;
    if (sscanf(text, "%4d-%2d-%2d%c%2d:%2d:%2d%n", &year, &month, &day, &mark, &hour, &minute,
               &second, &end) < 6 ||
        (mark != ' ' && mark != 'T')) {
        if (sscanf(text, "%2d%*1[-/]%2d%*1[-/]%4d %2d:%2d%n", &month, &day, &year, &hour, &minute,
                   &end) != 5 ||
            text[end] != '\0') {
            return false;
        }
        second = 0;
    }
    if (year < 1000 || year > 9999 || month < 1 || month > 12 || day < 1 || day > 31 || hour < 0 ||
        hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) {
        return false;
    }
    snprintf(iso, 20, "%04d-%02d-%02dT%02d:%02d:%02d", year, month, day, hour, minute, second);
    return true;
}
