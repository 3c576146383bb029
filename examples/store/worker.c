#include "worker.h"

#include <time.h>

static enum tidings_verdict worker_apply(struct worker *worker, const struct tidings_event *event,
                                         const struct order *order)
{
    switch (ledger_begin(&worker->ledger, event)) {
    case LEDGER_FAILED:
        return ledger_retry(&worker->ledger, event);
    case LEDGER_KNOWN:
        return TIDINGS_DONE;
    case LEDGER_NEW:
        break;
    }
    if (order != NULL && !worker->apply(worker, event, order)) {
        ledger_rollback(&worker->ledger);
        return ledger_retry(&worker->ledger, event);
    }
    return ledger_commit(&worker->ledger) ? TIDINGS_DONE : ledger_retry(&worker->ledger, event);
}

enum tidings_verdict worker_handle(struct tidings *service, const struct tidings_event *event,
                                   void *context)
{
    struct worker *worker = context;
    nanosleep(&(struct timespec){worker->slow_ms / 1000, worker->slow_ms % 1000 * 1000000}, NULL);
    struct order order;
    struct order_problem problem;
    if (!order_from_event(event->data, event->data_size, &order, &problem)) {
        store_complain("event %s at %s/%d offset %lld is passed over: %s", event->id, event->topic,
                       (int)event->partition, (long long)event->offset, problem.text);
        return worker_apply(worker, event, NULL);
    }
    enum tidings_verdict verdict =
        worker->poison != NULL && order_has_article(&order, worker->poison)
            ? tidings_retry(event, 0, "poison", "order %s has article %s", order.id, worker->poison)
            : worker_apply(worker, event, &order);
    if (verdict == TIDINGS_DONE && worker->announce != NULL &&
        !worker->announce(worker, service, event, &order)) {
        verdict = ledger_retry(&worker->ledger, event);
    }
    order_deinit(&order);
    return verdict;
}

struct tidings *worker_start(struct worker *worker, const char *name,
                             const struct store_common *common, const char *tables)
{
    worker->poison = common->poison;
    if (common->slow_ms != NULL) {
        worker->slow_ms = store_number("slow-ms", common->slow_ms, 0, 3600000);
    }
    if (!ledger_open(&worker->ledger, common->database, tables, common->instance)) {
        return NULL;
    }
    struct tidings *service = store_service_new(name, common);
    struct tidings_error error;
    if (service != NULL && (tidings_on(service, "orders", "OrderPlaced", worker_handle, worker,
                                       &error) != TIDINGS_OK ||
                            tidings_on(service, "orders", "OrderCancelled", worker_handle, worker,
                                       &error) != TIDINGS_OK)) {
        store_complain("%s", error.text);
        tidings_free(service);
        service = NULL;
    }
    if (service == NULL) {
        ledger_close(&worker->ledger);
    }
    return service;
}
