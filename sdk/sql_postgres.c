#include "service.h"
#include "sql.h"

#include "base/bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * PostgreSQL by the functions of libpq that sql_begin has found. Its interface is declared here as
 * far as it is used (it has not changed since libpq 5 came), so that libpq is not needed to build.
 */
struct pg_result;
enum { CONNECTION_OK = 0, PGRES_COMMAND_OK = 1, PGRES_TUPLES_OK = 2, PQTRANS_INTRANS = 2 };
enum { SQLSTATE = 'C', OID_BYTES = 17, OID_INT8 = 20, OID_TEXT = 25 };
typedef int event_proc(int event, void *info, void *context);

struct pg_result *PQexecParams(struct pg_conn *connection, const char *command, int count,
                               const unsigned *types, const char *const *values, const int *sizes,
                               const int *formats, int result_format);
struct pg_result *PQexec(struct pg_conn *connection, const char *commands);
int PQresultStatus(const struct pg_result *result);
char *PQresultErrorField(const struct pg_result *result, int field);
char *PQerrorMessage(const struct pg_conn *connection);
void PQclear(struct pg_result *result);
int PQntuples(const struct pg_result *result);
int PQnfields(const struct pg_result *result);
unsigned PQftype(const struct pg_result *result, int column);
char *PQgetvalue(const struct pg_result *result, int row, int column);
int PQgetlength(const struct pg_result *result, int row, int column);
int PQgetisnull(const struct pg_result *result, int row, int column);
char *PQcmdTuples(struct pg_result *result);
int PQtransactionStatus(const struct pg_conn *connection);
int PQstatus(const struct pg_conn *connection);
int PQserverVersion(const struct pg_conn *connection);
void PQreset(struct pg_conn *connection);
int PQregisterEventProc(struct pg_conn *connection, event_proc *proc, const char *name,
                        void *context);
int PQsetInstanceData(struct pg_conn *connection, event_proc *proc, void *data);
void *PQinstanceData(const struct pg_conn *connection, event_proc *proc);

#define FUNCTIONS(each)                                                                            \
    each(PQexec) each(PQexecParams) each(PQresultStatus) each(PQresultErrorField)                  \
        each(PQerrorMessage) each(PQclear) each(PQntuples) each(PQnfields) each(PQftype)           \
            each(PQgetvalue) each(PQgetlength) each(PQgetisnull) each(PQcmdTuples)                 \
                each(PQtransactionStatus) each(PQstatus) each(PQserverVersion) each(PQreset)       \
                    each(PQregisterEventProc) each(PQsetInstanceData) each(PQinstanceData)

#define AT(name)   AT_##name,
#define NAME(name) #name,
#define CALL(name) ((__typeof__(&name))sql->functions[AT_##name])

enum { FUNCTIONS(AT) };
static const char *const names[] = {FUNCTIONS(NAME) NULL};
_Static_assert(sizeof names / sizeof names[0] <= SQL_FUNCTIONS_MAX + 1, "there is room for all");

static const char *too_old(const struct sql *sql)
{
    int version = CALL(PQserverVersion)(sql->connection); /* 0: no connection at the moment */
    return version == 0 || version >= 130000 ? NULL : "PostgreSQL 13 or later";
}

static bool in_transaction(const struct sql *sql)
{
    return CALL(PQtransactionStatus)(sql->connection) == PQTRANS_INTRANS;
}

/* The values as libpq takes them: texts and numbers as text, bytes as they are. */
struct parameters {
    unsigned types[SQL_VALUES_MAX];
    const char *values[SQL_VALUES_MAX];
    int sizes[SQL_VALUES_MAX];
    int formats[SQL_VALUES_MAX];
    char numbers[SQL_VALUES_MAX][24];
};

static void fill(struct parameters *to, const struct sql_statement *statement)
{
    for (size_t i = 0; i < statement->value_count; i++) {
        const struct sql_value *value = &statement->values[i];
        to->types[i] = value->kind == SQL_NUMBER  ? OID_INT8
                       : value->kind == SQL_TEXT  ? OID_TEXT
                       : value->kind == SQL_BYTES ? OID_BYTES
                                                  : 0;
        to->formats[i] = value->kind == SQL_BYTES;
        to->sizes[i] = (int)value->bytes.size;
        to->values[i] = value->kind == SQL_NULL ? NULL : (const char *)value->bytes.data;
        if (value->kind == SQL_NUMBER) {
            snprintf(to->numbers[i], sizeof to->numbers[i], "%lld", (long long)value->number);
            to->values[i] = to->numbers[i];
        }
    }
}

static struct sql_value column_of(const struct sql *sql, const struct pg_result *result, int row,
                                  int column)
{
    if (CALL(PQgetisnull)(result, row, column)) {
        return (struct sql_value){0};
    }
    const char *data = CALL(PQgetvalue)(result, row, column);
    unsigned type = CALL(PQftype)(result, column);
    if (type == OID_INT8) {
        return sql_number((int64_t)load_be64(data));
    }
    struct sql_value value =
        sql_bytes(slice_of(data, (size_t)CALL(PQgetlength)(result, row, column)));
    value.kind = type == OID_BYTES ? SQL_BYTES : SQL_TEXT;
    return value;
}

static void show_rows(const struct sql *sql, const struct pg_result *result,
                      const struct sql_statement *statement)
{
    struct sql_value columns[SQL_VALUES_MAX];
    int rows = CALL(PQntuples)(result), count = CALL(PQnfields)(result);
    for (int row = 0; row < rows; row++) {
        for (int i = 0; i < count && i < SQL_VALUES_MAX; i++) {
            columns[i] = column_of(sql, result, row, i);
        }
        statement->row(statement->context, columns);
    }
}

static enum sql_status fail(const struct sql *sql, const struct pg_result *result,
                            struct tidings_error *error)
{
    const char *state = result != NULL ? CALL(PQresultErrorField)(result, SQLSTATE) : NULL;
    const char *text = CALL(PQerrorMessage)(sql->connection);
    /* serialization_failure, deadlock_detected */
    bool is_beaten = state != NULL && (strcmp(state, "40001") == 0 || strcmp(state, "40P01") == 0);
    error_set(error, is_beaten ? TIDINGS_CONFLICT : TIDINGS_FATAL, "PostgreSQL: %.*s",
              (int)strcspn(text, "\n"), text);
    return state != NULL && strcmp(state, "42P01") == 0 ? SQL_NO_TABLE : SQL_FAILED;
}

static enum sql_status run(const struct sql *sql, const struct sql_statement *statement,
                           struct tidings_error *error)
{
    struct parameters parameters;
    fill(&parameters, statement);
    struct pg_result *result = CALL(PQexecParams)(
        sql->connection, statement->text, (int)statement->value_count, parameters.types,
        parameters.values, parameters.sizes, parameters.formats, 1);
    int code = CALL(PQresultStatus)(result);
    enum sql_status status = SQL_OK;
    if (code != PGRES_COMMAND_OK && code != PGRES_TUPLES_OK) {
        status = fail(sql, result, error);
    } else {
        if (statement->row != NULL) {
            show_rows(sql, result, statement);
        }
        if (statement->changed != NULL) {
            *statement->changed = strtoll(CALL(PQcmdTuples)(result), NULL, 10);
        }
    }
    CALL(PQclear)(result);
    return status;
}

static enum sql_status script(const struct sql *sql, const char *text, struct tidings_error *error)
{
    struct pg_result *result = CALL(PQexec)(sql->connection, text);
    int code = CALL(PQresultStatus)(result);
    enum sql_status status =
        code == PGRES_COMMAND_OK || code == PGRES_TUPLES_OK ? SQL_OK : fail(sql, result, error);
    CALL(PQclear)(result);
    return status;
}

static bool revive(const struct sql *sql, struct tidings_error *error)
{
    if (CALL(PQstatus)(sql->connection) != CONNECTION_OK) {
        CALL(PQreset)(sql->connection);
    }
    if (CALL(PQstatus)(sql->connection) != CONNECTION_OK) {
        fail(sql, NULL, error);
        return false;
    }
    return true;
}

/* What is known of a connection hangs on it, as libpq offers that. There is nothing to free. */
static int on_connection_event(int event, void *info, void *context)
{
    return 1;
}

static bool has_schema(const struct sql *sql)
{
    return CALL(PQinstanceData)(sql->connection, on_connection_event) != NULL;
}

static void note_schema(const struct sql *sql, bool there)
{
    static const char mark;
    CALL(PQregisterEventProc)
    (sql->connection, on_connection_event, "tidings", NULL); /* once is enough; refused then */
    CALL(PQsetInstanceData)
    (sql->connection, on_connection_event, there ? (void *)(uintptr_t)&mark : NULL);
}

const struct sql_driver sql_postgres_driver = {
    .dialect = {.name = "PostgreSQL",
                .now_ms = "(extract(epoch from clock_timestamp()) * 1000)::bigint",
                .share_lock = " for share",
                .row_lock = " for update",
                .skip_locked = " for update skip locked",
                .is_settled = "(xid < pg_snapshot_xmin(pg_current_snapshot()) or "
                              "xid >= pg_snapshot_xmax(pg_current_snapshot()))",
                .oldest_writer = "select pid::bigint from pg_stat_activity where backend_xid is "
                                 "not null order by age(backend_xid) desc limit 1",
                .begin = "begin",
                .schema_guard = "select pg_advisory_xact_lock(8388073, 1)",
                .table_exists = "select (to_regclass($1) is not null)::int::bigint",
                .schema = sql_postgres_schema},
    .names = names,
    .files = (const char *const[]){"libpq.so.5", "libpq.so", NULL},
    .library = "libpq",
    .in_transaction = in_transaction,
    .run = run,
    .script = script,
    .revive = revive,
    .has_schema = has_schema,
    .note_schema = note_schema,
    .too_old = too_old,
};
