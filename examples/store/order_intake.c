/* store-order-intake: takes orders by HTTP or from a CSV file: intake.h. */
#include "intake.h"
#include "store.h"

#include <stdlib.h>

int main(int argc, char **argv)
{
    struct store_common common = {.database = "order-intake.db"};
    const char *listen_address = NULL, *csv = NULL, *skip = "0", *take = NULL;
    const char *rate = "0";
    const struct store_option options[] = {
        {"bootstrap-server", "HOST:PORT", "the bus [127.0.0.1:9092]", &common.bootstrap_servers},
        {"db", "FILE", "where it keeps the orders; or postgresql://... [order-intake.db]",
         &common.database},
        {"listen", "ADDRESS:PORT", "take orders by HTTP there; port 0 picks one", &listen_address},
        {"csv", "FILE", "take the orders of this file and end; - is standard input", &csv},
        {"skip", "N", "leave out the first N orders of the file [0]", &skip},
        {"take", "N", "then take N orders [all]", &take},
        {"rate", "N", "take N orders a second [as many as it can]", &rate},
        {0},
    };
    store_options(
        argc, argv,
        "Takes orders into its database and publishes OrderPlaced and OrderCancelled to the\n"
        "topic orders, by an outbox: an order is taken also while the bus is away.\n"
        "With --listen: POST /orders is answered 202 when the order is in the database, 400\n"
        "when it is wrong; so is POST /orders/ID/cancel; GET /orders/ID shows one. With\n"
        "--csv it reads the columns InvoiceNo, StockCode, Description, Quantity,\n"
        "InvoiceDate, UnitPrice, CustomerID and Country; lines of one InvoiceNo are one\n"
        "order, and one with negative quantities is a return. It ends when the bus has all.",
        options);
    if ((listen_address == NULL) == (csv == NULL)) {
        store_usage_error("give either --listen or --csv");
    }
    struct intake_range range = {
        .skip = store_number("skip", skip, 0, 1000000000),
        .take = take != NULL ? store_number("take", take, 0, 1000000000) : -1,
        .rate = store_number("rate", rate, 0, 1000000),
    };
    struct tidings *service = store_service_new("order-intake", &common, 1);
    struct intake intake;
    int status = EXIT_FAILURE;
    if (service != NULL && intake_open(&intake, service, common.database)) {
        status =
            csv != NULL ? intake_csv(&intake, csv, range) : intake_http(&intake, listen_address);
        intake_close(&intake);
    }
    store_service_free(service);
    return status;
}
