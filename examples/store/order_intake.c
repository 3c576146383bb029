/* store-order-intake: takes orders by HTTP or from a CSV file and publishes them. */
#include "intake.h"
#include "store.h"

#include <stdlib.h>

int main(int argc, char **argv)
{
    struct store_common common = {0};
    const char *listen_address = NULL, *csv = NULL, *skip = "0", *take = NULL;
    const char *rate = "0";
    const struct store_option options[] = {
        {"bootstrap-server", "HOST:PORT", "the bus [127.0.0.1:9092]", &common.bootstrap_servers},
        {"listen", "ADDRESS:PORT", "take orders at POST /orders there; port 0 picks one",
         &listen_address},
        {"csv", "FILE", "publish the orders of this file and end; - is standard input", &csv},
        {"skip", "N", "leave out the first N orders of the file [0]", &skip},
        {"take", "N", "then take N orders [all]", &take},
        {"rate", "N", "publish N orders a second [as fast as the bus takes them]", &rate},
        {0},
    };
    store_options(
        argc, argv,
        "Takes orders and publishes OrderPlaced and OrderCancelled to the topic orders,\n"
        "keyed by customer. With --listen it answers 202 when the bus has kept the order, 400\n"
        "when the order is wrong, 503 when the bus does not answer. With --csv it reads\n"
        "the columns InvoiceNo, StockCode, Description, Quantity, InvoiceDate, UnitPrice,\n"
        "CustomerID and Country; lines of one InvoiceNo are one order, and one that starts\n"
        "with C is a cancellation.",
        options);
    if ((listen_address == NULL) == (csv == NULL)) {
        store_usage_error("give either --listen or --csv");
    }
    struct intake_range range = {
        .skip = store_number("skip", skip, 0, 1000000000),
        .take = take != NULL ? store_number("take", take, 0, 1000000000) : -1,
        .rate = store_number("rate", rate, 0, 1000000),
    };
    struct tidings *service = store_service_new("order-intake", &common);
    if (service == NULL) {
        return EXIT_FAILURE;
    }
    int status =
        csv != NULL ? intake_csv(service, csv, range) : intake_http(service, listen_address);
    tidings_free(service);
    return status;
}
