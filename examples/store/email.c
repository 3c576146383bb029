/*
 * store-email: tells the customer by mail, over SMTP, what becomes of an order: one mail for each
 * OrderPlaced, OrderCancelled, StockShort and ShipmentPrepared.
 *
 * The mail goes out before the commit: a crash in between sends it again, with the same Message-ID,
 * by which mail stores recognise it. The other way round it could be lost.
 */
#include "service.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct email {
    const char *url;
    const char *from;
};

struct mail {
    char *text;
    size_t size;
    size_t sent;
};

static size_t mail_read(char *to, size_t size, size_t count, void *context)
{
    struct mail *mail = context;
    size_t left = mail->size - mail->sent, room = size * count;
    size_t take = left < room ? left : room;
    memcpy(to, mail->text + mail->sent, take);
    mail->sent += take;
    return take;
}

static void lines_print(FILE *out, const struct order *order)
{
    for (size_t i = 0; i < order->line_count; i++) {
        const struct order_line *line = &order->lines[i];
        fprintf(out, "  %6lld  %s  %s\r\n", (long long)llabs(line->quantity), line->stock_code,
                line->description);
    }
    if (order->line_count > 0) {
        int64_t amount = llabs(order_amount(order)), cents = PRICE_UNITS / 100;
        fprintf(out, "\r\n%lld.%02lld in all.\r\n", (long long)(amount / PRICE_UNITS),
                (long long)(amount % PRICE_UNITS / cents));
    }
}

/* What it is about, the subject before the order's number, and the first words. */
struct letter {
    const char *what;
    const char *subject;
    const char *words;
};

static void mail_write(struct mail *mail, const struct work *work, const struct letter *letter,
                       const char *message_id, const char *recipient)
{
    const struct email *email = work->self;
    FILE *out = open_memstream(&mail->text, &mail->size);
    if (out == NULL) {
        abort();
    }
    fprintf(out,
            "From: The Store <%s>\r\nTo: <%s>\r\nMessage-ID: <%s>\r\n"
            "Subject: %s %s\r\nMIME-Version: 1.0\r\n"
            "Content-Type: text/plain; charset=utf-8\r\n\r\n"
            "Dear customer,\r\n\r\n%s\r\n\r\n",
            email->from, recipient, message_id, letter->subject, work->order.id, letter->words);
    lines_print(out, &work->order);
    fprintf(out, "\r\nThe Store\r\n");
    fclose(out);
}

/* A connection for each mail: handlers may run side by side. */
static bool mail_send(struct work *work, struct mail *mail, const char *recipient)
{
    const struct email *email = work->self;
    struct curl_slist *recipients = curl_slist_append(NULL, recipient);
    char why[CURL_ERROR_SIZE] = "";
    CURL *smtp = curl_easy_init();
    curl_easy_setopt(smtp, CURLOPT_URL, email->url);
    curl_easy_setopt(smtp, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(smtp, CURLOPT_MAIL_FROM, email->from);
    curl_easy_setopt(smtp, CURLOPT_MAIL_RCPT, recipients);
    curl_easy_setopt(smtp, CURLOPT_READFUNCTION, mail_read);
    curl_easy_setopt(smtp, CURLOPT_READDATA, mail);
    curl_easy_setopt(smtp, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(smtp, CURLOPT_TIMEOUT, 30L);
    curl_easy_setopt(smtp, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(smtp, CURLOPT_ERRORBUFFER, why);
    CURLcode code = curl_easy_perform(smtp);
    curl_easy_cleanup(smtp);
    curl_slist_free_all(recipients);
    return code == CURLE_OK ||
           work_fail(work, "smtp", "mail to %s by %s: %s", recipient, email->url,
                     why[0] != '\0' ? why : curl_easy_strerror(code));
}

static bool tell(struct work *work, const struct letter *letter)
{
    const struct order *order = &work->order;
    char customer[3 * ORDER_ID_MAX + 1], id[3 * ORDER_ID_MAX + 1];
    char recipient[sizeof customer + 32], message_id[sizeof id + 32];
    text_escape(customer, order->customer_id != NULL ? order->customer_id : "guest", ".");
    text_escape(id, order->id, "");
    snprintf(recipient, sizeof recipient, "customer-%s@example.com", customer);
    snprintf(message_id, sizeof message_id, "%s.%s@store.example.com", id, letter->what);
    struct mail mail = {0};
    mail_write(&mail, work, letter, message_id, recipient);
    bool ok = mail_send(work, &mail, recipient);
    free(mail.text);
    return ok;
}

static bool on_placed(struct work *work)
{
    return tell(work, &(struct letter){"placed", "Your order", "we have received your order of:"});
}

static bool on_cancelled(struct work *work)
{
    bool is_return = work->order.cancels == NULL;
    return tell(work, is_return ? &(struct letter){"cancelled", "Your return",
                                                   "we have noted the return of:"}
                                : &(struct letter){"cancelled", "Cancelled: order",
                                                   "as you wished we have cancelled:"});
}

static bool on_short(struct work *work)
{
    return tell(work, &(struct letter){"short", "We cannot deliver order",
                                       "we are sorry: there is not enough on our shelves of:"});
}

static bool on_prepared(struct work *work)
{
    return tell(
        work, &(struct letter){"prepared", "On its way: order", "your order has left our house."});
}

static void *start(const char *const *values)
{
    struct email *email = malloc(sizeof *email);
    if (email == NULL) {
        abort();
    }
    *email = (struct email){.url = values[0], .from = values[1]};
    curl_global_init(CURL_GLOBAL_DEFAULT);
    return email;
}

const struct service email_service = {
    .name = "email",
    .about =
        "Sends a mail for each OrderPlaced, OrderCancelled, StockShort and ShipmentPrepared: one\n"
        "for each, also when the event comes again.",
    .tables = "",
    .handlers = {{"orders", "OrderPlaced", on_placed},
                 {"orders", "OrderCancelled", on_cancelled},
                 {"stock", "StockShort", on_short},
                 {"shipments", "ShipmentPrepared", on_prepared}},
    .options = {{"smtp", "URL", "the mail server [smtp://127.0.0.1:2525]", "smtp://127.0.0.1:2525"},
                {"from", "ADDRESS", "the sender [orders@store.example.com]",
                 "orders@store.example.com"}},
    .start = start,
};
