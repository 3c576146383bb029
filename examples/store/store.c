#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A signal handler has no parameter for it, so the service to stop is kept here. */
static struct tidings *_Atomic running_service;
static volatile sig_atomic_t stop_asked;

static void complain(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));

static void complain(const char *format, va_list arguments)
{
    fprintf(stderr, "%s: ", program_invocation_short_name);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

void store_complain(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain(format, arguments);
    va_end(arguments);
}

void store_usage_error(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain(format, arguments);
    va_end(arguments);
    fprintf(stderr, "See %s --help\n", program_invocation_short_name);
    exit(EXIT_USAGE);
}

static void print_help(const char *about, const struct store_option *options)
{
    printf("Usage: %s [options]\n\n%s\n\nOptions:\n", program_invocation_short_name, about);
    for (const struct store_option *o = options; o->name != NULL; o++) {
        char left[64];
        snprintf(left, sizeof left, "--%s %s", o->name, o->argument ? o->argument : "");
        printf("  %-30s %s\n", left, o->help);
    }
    printf("  %-30s %s\n", "--help", "print this");
}

/* Started without descriptors 0, 1 or 2, the next socket would take their number, and what is
 * printed would go there. The wrong way round, so that using them fails as if closed. */
static void hold_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0) {
            (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
        }
    }
}

void store_options(int argc, char **argv, const char *about, const struct store_option *options)
{
    hold_standard_descriptors();
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help(about, options);
            exit(EXIT_SUCCESS);
        }
        if (strncmp(argv[i], "--", 2) != 0) {
            store_usage_error("%s is no option", argv[i]);
        }
        const char *name = argv[i] + 2, *equals = strchr(name, '=');
        size_t size = equals != NULL ? (size_t)(equals - name) : strlen(name);
        const struct store_option *found = options;
        while (found->name != NULL &&
               (strlen(found->name) != size || strncmp(found->name, name, size) != 0)) {
            found++;
        }
        if (found->name == NULL) {
            store_usage_error("unknown option %s", argv[i]);
        }
        if (found->argument == NULL) {
            *found->value = "1";
        } else if (equals != NULL) {
            *found->value = equals + 1;
        } else if (++i < argc) {
            *found->value = argv[i];
        } else {
            store_usage_error("--%s needs a value: %s", found->name, found->argument);
        }
    }
}

long store_number(const char *option, const char *text, long least, long most)
{
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < least || number > most) {
        store_usage_error("--%s %s: must be a whole number from %ld to %ld", option, text, least,
                          most);
    }
    return number;
}

static void on_stop_signal(int signal)
{
    stop_asked = 1;
    struct tidings *service = running_service;
    if (service != NULL) {
        tidings_stop(service);
    }
}

bool store_stopping(void)
{
    return stop_asked != 0;
}

struct tidings *store_service_new(const char *name, const struct store_common *common)
{
    struct tidings_options options = {
        .name = name,
        .bootstrap_servers = common->bootstrap_servers,
        .instance = common->instance,
        .publish_timeout_ms = 10000,
        .attempts =
            common->attempts != NULL ? (int)store_number("attempts", common->attempts, 1, 1000) : 0,
        .workers = 1,              /* handlers share a database connection and its statements */
        .commit_interval_ms = 100, /* little comes again after a kill */
    };
    struct tidings *service;
    struct tidings_error error;
    if (tidings_new(&options, &service, &error) != TIDINGS_OK) {
        store_complain("%s", error.text);
        return NULL;
    }
    running_service = service;
    struct sigaction stop = {.sa_handler = on_stop_signal};
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
    signal(SIGPIPE, SIG_IGN);
    return service;
}

int store_service_run(struct tidings *service)
{
    struct tidings_error error;
    bool ok = tidings_run(service, &error) == TIDINGS_OK;
    if (!ok) {
        store_complain("%s", error.text);
    }
    running_service = NULL;
    tidings_free(service);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

static const char ledger_tables[] =
    "CREATE TABLE IF NOT EXISTS processed_events ("
    " source TEXT NOT NULL, event_id TEXT NOT NULL, type TEXT NOT NULL, order_id TEXT NOT NULL,"
    " topic TEXT NOT NULL, partition INTEGER NOT NULL, position INTEGER NOT NULL,"
    " instance TEXT NOT NULL, deliveries INTEGER NOT NULL DEFAULT 1,"
    " PRIMARY KEY (source, event_id)) WITHOUT ROWID;";

void ledger_fail(struct ledger *ledger, const char *error_class, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(ledger->why, sizeof ledger->why, format, arguments);
    va_end(arguments);
    ledger->error_class = error_class;
    store_complain("%s: %s", error_class, ledger->why);
}

enum tidings_verdict ledger_retry(const struct ledger *ledger, const struct tidings_event *event)
{
    return tidings_retry(event, 0, ledger->error_class, "%s", ledger->why);
}

static bool ledger_execute(struct ledger *ledger, const char *sql)
{
    char *why = NULL;
    if (sqlite3_exec(ledger->db, sql, NULL, NULL, &why) != SQLITE_OK) {
        ledger_fail(ledger, "database", "%s", why);
        sqlite3_free(why);
        return false;
    }
    return true;
}

bool ledger_open(struct ledger *ledger, const char *path, const char *tables, const char *instance)
{
    *ledger = (struct ledger){.instance = instance != NULL ? instance : "1"};
    if (sqlite3_open(path, &ledger->db) != SQLITE_OK) {
        store_complain("%s: %s", path, sqlite3_errmsg(ledger->db));
        ledger_close(ledger);
        return false;
    }
    sqlite3_busy_timeout(ledger->db, 10000); /* another instance may be writing */
    if (!ledger_execute(ledger, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;") ||
        !ledger_execute(ledger, ledger_tables) || !ledger_execute(ledger, tables)) {
        ledger_close(ledger);
        return false;
    }
    ledger->note = ledger_prepare(
        ledger, "INSERT INTO processed_events (source, event_id, type, order_id, topic, partition,"
                " position, instance) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET deliveries = deliveries + 1 RETURNING deliveries");
    return ledger->note != NULL;
}

void ledger_close(struct ledger *ledger)
{
    sqlite3_finalize(ledger->note);
    sqlite3_close(ledger->db);
    *ledger = (struct ledger){0};
}

sqlite3_stmt *ledger_prepare(struct ledger *ledger, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(ledger->db, sql, -1, &statement, NULL) != SQLITE_OK) {
        store_complain("database: %s", sqlite3_errmsg(ledger->db));
    }
    return statement;
}

bool ledger_step(struct ledger *ledger, sqlite3_stmt *statement)
{
    bool ok = sqlite3_step(statement) == SQLITE_DONE;
    if (!ok) {
        ledger_fail(ledger, "database", "%s", sqlite3_errmsg(ledger->db));
    }
    sqlite3_reset(statement);
    return ok;
}

/* How often the event was delivered, this time included; 0 after a complaint. */
static int ledger_note(struct ledger *ledger, const struct tidings_event *event)
{
    sqlite3_stmt *note = ledger->note;
    sqlite3_bind_text(note, 1, event->source, -1, SQLITE_STATIC);
    sqlite3_bind_text(note, 2, event->id, -1, SQLITE_STATIC);
    sqlite3_bind_text(note, 3, event->type, -1, SQLITE_STATIC);
    sqlite3_bind_text(note, 4, event->subject, -1, SQLITE_STATIC);
    sqlite3_bind_text(note, 5, event->topic, -1, SQLITE_STATIC);
    sqlite3_bind_int(note, 6, event->partition);
    sqlite3_bind_int64(note, 7, event->offset);
    sqlite3_bind_text(note, 8, ledger->instance, -1, SQLITE_STATIC);
    int deliveries = 0;
    if (sqlite3_step(note) == SQLITE_ROW) {
        deliveries = sqlite3_column_int(note, 0);
        if (sqlite3_step(note) != SQLITE_DONE) {
            deliveries = 0;
        }
    }
    if (deliveries == 0) {
        ledger_fail(ledger, "database", "%s", sqlite3_errmsg(ledger->db));
    }
    sqlite3_reset(note);
    return deliveries;
}

enum ledger_state ledger_begin(struct ledger *ledger, const struct tidings_event *event)
{
    if (!ledger_execute(ledger, "BEGIN IMMEDIATE")) {
        return LEDGER_FAILED;
    }
    int deliveries = ledger_note(ledger, event);
    if (deliveries == 0) {
        ledger_rollback(ledger);
        return LEDGER_FAILED;
    }
    if (deliveries == 1) {
        return LEDGER_NEW;
    }
    return ledger_commit(ledger) ? LEDGER_KNOWN : LEDGER_FAILED;
}

bool ledger_commit(struct ledger *ledger)
{
    bool ok = ledger_execute(ledger, "COMMIT");
    if (!ok) {
        ledger_rollback(ledger);
    }
    return ok;
}

/* Why it is done is what counts, not whether this works: SQLite may have done it already. */
void ledger_rollback(struct ledger *ledger)
{
    sqlite3_exec(ledger->db, "ROLLBACK", NULL, NULL, NULL);
}
