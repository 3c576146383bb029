#include "csv.h"
#include "intake.h"
#include "store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum column { INVOICE, STOCK, DESCRIPTION, QUANTITY, DATE, PRICE, CUSTOMER, COUNTRY, COLUMNS };

static const char *const column_names[COLUMNS] = {
    "InvoiceNo",   "StockCode", "Description", "Quantity",
    "InvoiceDate", "UnitPrice", "CustomerID",  "Country",
};

enum { BATCH = 100, WAIT_MS = 1000 };

struct csv_intake {
    struct intake *intake;
    struct csv csv;
    struct intake_range range;
    size_t columns[COLUMNS]; /* where each column is */
    json_t *times_seen;      /* invoice number to how many orders had it */
    struct order order;      /* being collected */
    char *invoice;           /* its invoice number; NULL: none begun */
    bool refused;            /* one of its lines is wrong */
    long order_count;
    long taken_count;
    long known_count;
    long refused_count;
    int open_count; /* in the transaction that is open; 0: none is */
    bool failed;    /* the database */
    struct timespec began;
};

static bool batch_fail(struct csv_intake *intake, const struct order_problem *problem)
{
    store_complain("%s", problem->text);
    intake->failed = true;
    return false;
}

/* Many orders are one transaction, unless they are to come one by one. */
static void batch_end(struct csv_intake *intake)
{
    struct order_problem problem;
    if (intake->open_count > 0 && !intake_commit(intake->intake, &problem)) {
        batch_fail(intake, &problem);
    }
    intake->open_count = 0;
}

static bool order_place(struct csv_intake *intake)
{
    struct order_problem problem;
    if (intake->open_count == 0 && !intake_begin(intake->intake, &problem)) {
        return batch_fail(intake, &problem);
    }
    intake->open_count++;
    switch (intake_place(intake->intake, &intake->order, &problem)) {
    case INTAKE_TAKEN:
        intake->taken_count++;
        break;
    case INTAKE_KNOWN:
        intake->known_count++;
        break;
    case INTAKE_REFUSED:
    case INTAKE_UNKNOWN:
        store_complain("order %s: %s", intake->order.id, problem.text);
        intake->refused_count++;
        break;
    case INTAKE_FAILED:
        batch_fail(intake, &problem);
    }
    if (intake->range.rate > 0 || intake->open_count == BATCH) {
        batch_end(intake);
    }
    return !intake->failed;
}

/* Waits until the next order is due at the rate asked for; a signal to stop ends the wait. */
static void pace(const struct csv_intake *intake)
{
    if (intake->range.rate == 0) {
        return;
    }
    int64_t after_ns =
        (intake->taken_count + intake->known_count) * 1000000000 / intake->range.rate;
    int64_t due_ns = intake->began.tv_nsec + after_ns;
    struct timespec due = {.tv_sec = intake->began.tv_sec + due_ns / 1000000000,
                           .tv_nsec = due_ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == EINTR &&
           !store_stopping()) {
    }
}

static bool in_range(const struct csv_intake *intake, long index)
{
    return index >= intake->range.skip &&
           (intake->range.take < 0 || index - intake->range.skip < intake->range.take);
}

static void order_end(struct csv_intake *intake)
{
    if (intake->invoice == NULL) {
        return;
    }
    if (in_range(intake, intake->order_count)) {
        if (intake->refused) {
            store_complain("order %s is refused", intake->invoice);
            intake->refused_count++;
        } else {
            if (order_place(intake)) {
                pace(intake);
            }
        }
    }
    intake->order_count++;
    order_deinit(&intake->order);
    free(intake->invoice);
    intake->invoice = NULL;
}

static const char *field(const struct csv_intake *intake, enum column column)
{
    return csv_field(&intake->csv, intake->columns[column]);
}

static bool line_refuse(struct csv_intake *intake, enum column column, const char *why)
{
    store_complain("line %ld: %s \"%.60s\" %s", intake->csv.line, column_names[column],
                   field(intake, column), why);
    intake->refused = true;
    return false;
}

static bool order_begin(struct csv_intake *intake)
{
    const char *invoice = field(intake, INVOICE);
    intake->invoice = strdup(invoice);
    intake->refused = false;
    json_int_t times = json_integer_value(json_object_get(intake->times_seen, invoice)) + 1;
    json_object_set_new(intake->times_seen, invoice, json_integer(times));
    if (!text_is_plain(invoice, ORDER_ID_MAX - 8)) {
        return line_refuse(intake, INVOICE, "is no order number");
    }
    char id[ORDER_ID_MAX + 16], iso[20];
    snprintf(id, sizeof id, times > 1 ? "%s-%lld" : "%s", invoice, (long long)times);
    if (!intake_date(field(intake, DATE), iso)) {
        return line_refuse(intake, DATE, "is no date (MM-DD-YYYY HH:MM or M/D/YYYY H:MM)");
    }
    if (!text_is_plain(field(intake, COUNTRY), ORDER_TEXT_MAX)) {
        return line_refuse(intake, COUNTRY, "is no country");
    }
    const char *customer = field(intake, CUSTOMER);
    if (customer[0] != '\0' && !text_is_plain(customer, ORDER_ID_MAX)) {
        return line_refuse(intake, CUSTOMER, "is no customer number");
    }
    intake->order.id = strdup(id);
    intake->order.ordered_at = strdup(iso);
    intake->order.country = strdup(field(intake, COUNTRY));
    intake->order.customer_id = customer[0] != '\0' ? strdup(customer) : NULL;
    return true;
}

static bool line_add(struct csv_intake *intake)
{
    char *end;
    const char *quantity_text = field(intake, QUANTITY);
    long quantity = strtol(quantity_text, &end, 10);
    if (end == quantity_text || *end != '\0' || quantity == 0 || labs(quantity) > 1000000000) {
        return line_refuse(intake, QUANTITY, "is no whole number other than 0");
    }
    int64_t price;
    if (!price_parse(field(intake, PRICE), &price)) {
        return line_refuse(intake, PRICE, "is no price");
    }
    if (!text_is_plain(field(intake, STOCK), ORDER_ID_MAX)) {
        return line_refuse(intake, STOCK, "is no article");
    }
    if (strlen(field(intake, DESCRIPTION)) > ORDER_TEXT_MAX) {
        return line_refuse(intake, DESCRIPTION, "is too long");
    }
    if (intake->order.line_count == ORDER_LINES_MAX) {
        return line_refuse(intake, INVOICE, "has too many lines");
    }
    order_add_line(&intake->order, field(intake, STOCK), field(intake, DESCRIPTION), quantity,
                   price);
    return true;
}

static void line_take(struct csv_intake *intake)
{
    if (intake->invoice == NULL || strcmp(intake->invoice, field(intake, INVOICE)) != 0) {
        order_end(intake);
        order_begin(intake);
    }
    if (!intake->refused) {
        line_add(intake);
    }
}

static bool header_read(struct csv_intake *intake, const char *path)
{
    if (!csv_next(&intake->csv)) {
        store_complain("%s: %s", path,
                       intake->csv.problem != NULL ? intake->csv.problem : "the file is empty");
        return false;
    }
    for (int column = 0; column < COLUMNS; column++) {
        size_t place = 0;
        while (place < intake->csv.field_count &&
               strcasecmp(csv_field(&intake->csv, place), column_names[column]) != 0) {
            place++;
        }
        if (place == intake->csv.field_count) {
            store_complain("%s: the first line names no column %s", path, column_names[column]);
            return false;
        }
        intake->columns[column] = place;
    }
    return true;
}

static bool lines_read(struct csv_intake *intake)
{
    bool past_range = false;
    while (!store_stopping() && !past_range && !intake->failed) {
        if (csv_next(&intake->csv)) {
            line_take(intake);
        } else if (intake->csv.problem == NULL) {
            order_end(intake);
            return true;
        } else {
            store_complain("line %ld: %s", intake->csv.line, intake->csv.problem);
            intake->refused = true; /* of the order around it */
        }
        past_range = intake->range.take >= 0 &&
                     intake->order_count >= intake->range.skip + intake->range.take;
    }
    return past_range && !intake->failed;
}

int intake_csv(struct intake *taken_by, const char *path, struct intake_range range)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    if (file == NULL) {
        store_complain("%s: %s", path, strerror(errno));
        return EXIT_FAILURE;
    }
    struct csv_intake intake = {.intake = taken_by, .range = range, .times_seen = json_object()};
    csv_init(&intake.csv, file);
    clock_gettime(CLOCK_MONOTONIC, &intake.began);
    bool ok = header_read(&intake, path) && lines_read(&intake);
    batch_end(&intake);
    printf("orders taken=%ld known=%ld refused=%ld\n", intake.taken_count, intake.known_count,
           intake.refused_count);
    fflush(stdout);
    while (tidings_outbox_wait(taken_by->outbox, WAIT_MS, NULL) != TIDINGS_OK &&
           !store_stopping()) {
    }
    order_deinit(&intake.order);
    free(intake.invoice);
    json_decref(intake.times_seen);
    csv_deinit(&intake.csv);
    if (file != stdin) {
        fclose(file);
    }
    return ok && !intake.failed && intake.refused_count == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
