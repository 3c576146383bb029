/* store-email: confirms each order by mail, over SMTP. */
#include "worker.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct email {
    struct worker worker;
    sqlite3_stmt *note;
    CURL *smtp;
    const char *url;
    const char *from;
};

static const char tables[] = "CREATE TABLE IF NOT EXISTS mails ("
                             " message_id TEXT PRIMARY KEY, order_id TEXT NOT NULL,"
                             " recipient TEXT NOT NULL, event_id TEXT NOT NULL) WITHOUT ROWID;";

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

/* Ids go into addresses and header lines: only what is plain there. */
static void address_part(char *to, size_t size, const char *from)
{
    size_t used = 0;
    for (; *from != '\0' && used + 1 < size; from++) {
        bool plain = strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_",
                            *from) != NULL;
        to[used++] = plain ? *from : '_';
    }
    to[used] = '\0';
}

static void mail_write(struct mail *mail, const struct email *email, const char *message_id,
                       const char *recipient, const struct order *order)
{
    FILE *out = open_memstream(&mail->text, &mail->size);
    if (out == NULL) {
        abort();
    }
    bool cancelled = order_is_cancellation(order);
    int64_t amount = llabs(order_amount(order));
    fprintf(out,
            "From: The Store <%s>\r\nTo: <%s>\r\nMessage-ID: <%s>\r\n"
            "Subject: Your %s %s\r\nMIME-Version: 1.0\r\n"
            "Content-Type: text/plain; charset=utf-8\r\n\r\n"
            "Dear customer,\r\n\r\nwe have %s %s of %zu articles, %lld.%02lld in all:\r\n\r\n",
            email->from, recipient, message_id, cancelled ? "cancellation" : "order", order->id,
            cancelled ? "noted the return" : "received your order", order->id, order->line_count,
            (long long)(amount / PRICE_UNITS),
            (long long)(amount % PRICE_UNITS * 100 / PRICE_UNITS));
    for (size_t i = 0; i < order->line_count; i++) {
        const struct order_line *line = &order->lines[i];
        fprintf(out, "  %6lld  %s  %s\r\n", (long long)line->quantity, line->stock_code,
                line->description);
    }
    fprintf(out, "\r\nThe Store\r\n");
    fclose(out);
}

static bool mail_send(struct email *email, struct mail *mail, const char *recipient)
{
    struct curl_slist *recipients = curl_slist_append(NULL, recipient);
    char why[CURL_ERROR_SIZE] = "";
    curl_easy_reset(email->smtp); /* keeps the connection */
    curl_easy_setopt(email->smtp, CURLOPT_URL, email->url);
    curl_easy_setopt(email->smtp, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(email->smtp, CURLOPT_MAIL_FROM, email->from);
    curl_easy_setopt(email->smtp, CURLOPT_MAIL_RCPT, recipients);
    curl_easy_setopt(email->smtp, CURLOPT_READFUNCTION, mail_read);
    curl_easy_setopt(email->smtp, CURLOPT_READDATA, mail);
    curl_easy_setopt(email->smtp, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(email->smtp, CURLOPT_TIMEOUT, 30L);
    curl_easy_setopt(email->smtp, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(email->smtp, CURLOPT_ERRORBUFFER, why);
    CURLcode code = curl_easy_perform(email->smtp);
    curl_slist_free_all(recipients);
    if (code != CURLE_OK) {
        ledger_fail(&email->worker.ledger, "smtp", "mail to %s by %s: %s", recipient, email->url,
                    why[0] != '\0' ? why : curl_easy_strerror(code));
    }
    return code == CURLE_OK;
}

/*
 * The mail goes out before the commit: a crash in between sends it again, with the same
 * Message-ID, by which mail stores recognise it. The other way round it could be lost.
 */
static bool apply(struct worker *worker, const struct tidings_event *event,
                  const struct order *order)
{
    struct email *email = (struct email *)worker;
    char customer[ORDER_ID_MAX + 1], id[200], recipient[128], message_id[256];
    address_part(customer, sizeof customer,
                 order->customer_id != NULL ? order->customer_id : "guest");
    address_part(id, sizeof id, event->id);
    snprintf(recipient, sizeof recipient, "customer-%s@example.com", customer);
    snprintf(message_id, sizeof message_id, "%s@store.example.com", id);
    sqlite3_bind_text(email->note, 1, message_id, -1, SQLITE_STATIC);
    sqlite3_bind_text(email->note, 2, order->id, -1, SQLITE_STATIC);
    sqlite3_bind_text(email->note, 3, recipient, -1, SQLITE_STATIC);
    sqlite3_bind_text(email->note, 4, event->id, -1, SQLITE_STATIC);
    if (!ledger_step(&worker->ledger, email->note)) {
        return false;
    }
    struct mail mail = {0};
    mail_write(&mail, email, message_id, recipient, order);
    bool ok = mail_send(email, &mail, recipient);
    free(mail.text);
    return ok;
}

int main(int argc, char **argv)
{
    struct store_common common = {.database = "email.db"};
    struct email email = {
        .worker = {.apply = apply},
        .url = "smtp://127.0.0.1:2525",
        .from = "orders@store.example.com",
    };
    const struct store_option options[] = {
        STORE_COMMON_OPTIONS(&common, "email.db"),
        {"smtp", "URL", "the mail server [smtp://127.0.0.1:2525]", &email.url},
        {"from", "ADDRESS", "the sender [orders@store.example.com]", &email.from},
        {0},
    };
    store_options(argc, argv,
                  "Sends a mail for each OrderPlaced and OrderCancelled: one for each order, also\n"
                  "when the event comes again.",
                  options);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    email.smtp = curl_easy_init();
    struct tidings *service = worker_start(&email.worker, "email", &common, tables);
    if (service == NULL) {
        return EXIT_FAILURE;
    }
    email.note = ledger_prepare(&email.worker.ledger, "INSERT INTO mails (message_id, order_id,"
                                                      " recipient, event_id) VALUES (?, ?, ?, ?)");
    int status = email.note != NULL ? store_service_run(service) : EXIT_FAILURE;
    sqlite3_finalize(email.note);
    ledger_close(&email.worker.ledger);
    curl_easy_cleanup(email.smtp);
    curl_global_cleanup();
    return status;
}
