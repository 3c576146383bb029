#include "../unit.h"

#include "base.h"

#include <glob.h>
#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef HAVE_LIBPQ
#include <libpq-fe.h>
#endif

static void fail_base(const char *what)
{
    perror(what);
    abort();
}

/* The newest server that is installed, 13 or later. */
static void find_postgres(char *folder, size_t size)
{
    glob_t found = {0};
    int best = 12;
    folder[0] = '\0';
#ifdef HAVE_LIBPQ
    glob("/usr/lib/postgresql/*/bin/postgres", 0, NULL, &found);
#endif
    for (size_t i = 0; i < found.gl_pathc; i++) {
        int version = atoi(found.gl_pathv[i] + strlen("/usr/lib/postgresql/"));
        if (version > best) {
            best = version;
            snprintf(folder, size, "/usr/lib/postgresql/%d/bin", version);
        }
    }
    globfree(&found);
    if (folder[0] == '\0') {
        printf("skip PostgreSQL: 13 or later is not installed (apt-get install postgresql "
               "libpq-dev)\n");
        exit(77);
    }
}

/* PostgreSQL refuses to run as root. */
static const struct passwd *other_user(void)
{
    const struct passwd *user = NULL;
    if (geteuid() == 0) {
        user = getpwnam("postgres");
        user = user != NULL ? user : getpwnam("nobody");
        if (user == NULL) {
            fail_base("no user to run PostgreSQL as");
        }
    }
    return user;
}

/* A child that is this program; its standard error goes to log. */
static pid_t spawn(const struct base *base, const char *const command[], int log)
{
    const struct passwd *user = other_user();
    pid_t child = fork();
    if (child != 0) {
        return child;
    }
    if (user != NULL && (setgroups(0, NULL) != 0 || setgid(user->pw_gid) != 0 ||
                         setuid(user->pw_uid) != 0 || chdir(base->folder) != 0)) {
        fail_base("another user");
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* behind setuid, which takes it back */
    dup2(log, STDERR_FILENO);
    dup2(log, STDOUT_FILENO);
    setenv("LC_ALL", "C", 1);
    execv(command[0], (char *const *)(uintptr_t)command);
    fail_base(command[0]);
    return -1;
}

static void *drain(void *argument)
{
    char line[1024];
    while (fgets(line, sizeof line, argument) != NULL) {
        if (getenv("TEST_LOG") != NULL) {
            fprintf(stderr, "%s", line);
        }
    }
    fclose(argument);
    return NULL;
}

/* Runs it; returns when it has ended well or has said `ready`. */
static pid_t run(const struct base *base, const char *const command[], const char *ready)
{
    int ends[2], status;
    char line[1024] = "";
    pthread_t thread;
    if (pipe(ends) != 0) {
        fail_base("pipe");
    }
    pid_t child = spawn(base, command, ends[1]);
    close(ends[1]);
    FILE *from = fdopen(ends[0], "r");
    if (ready == NULL) {
        drain(from);
        if (waitpid(child, &status, 0) != child || status != 0) {
            fail_base(command[0]);
        }
        return 0;
    }
    while (strstr(line, ready) == NULL) {
        if (fgets(line, sizeof line, from) == NULL) {
            fail_base(command[0]);
        }
    }
    pthread_create(&thread, NULL, drain, from);
    pthread_detach(thread);
    return child;
}

static void postgres_start(struct base *base)
{
    char bin[200], initdb[256], server[256], data[256], socket[256];
    const struct passwd *user = other_user();
    find_postgres(bin, sizeof bin);
    if (user != NULL && chown(base->folder, user->pw_uid, user->pw_gid) != 0) {
        fail_base("chown");
    }
    snprintf(initdb, sizeof initdb, "%s/initdb", bin);
    snprintf(server, sizeof server, "%s/postgres", bin);
    snprintf(data, sizeof data, "%s/data", base->folder);
    snprintf(socket, sizeof socket, "unix_socket_directories=%s", base->folder);
    run(base,
        (const char *[]){initdb, "-D", data, "-U", "tidings", "-A", "trust", "-E", "UTF8",
                         "--no-sync", "--no-locale", NULL},
        NULL);
    base->server =
        run(base,
            (const char *[]){server, "-D", data, "-c", socket, "-c", "listen_addresses=", "-c",
                             "fsync=off", "-c", "shared_buffers=16MB", NULL},
            "ready to accept connections");
}

void base_start(struct base *base)
{
    char folder[] = "/tmp/tidings-base-test-XXXXXX";
    const char *kind = getenv("TEST_DATABASE");
    *base = (struct base){.kind = kind != NULL && strcmp(kind, "postgres") == 0 ? TIDINGS_POSTGRES
                                                                                : TIDINGS_SQLITE};
    if (mkdtemp(folder) == NULL || chmod(folder, 0755) != 0) {
        fail_base("a place for the database");
    }
    base->folder = strdup(folder);
    if (base->kind == TIDINGS_POSTGRES) {
        postgres_start(base);
    }
}

void base_stop(struct base *base)
{
    char command[256];
    if (base->server > 0) {
        kill(base->server, SIGINT);
        waitpid(base->server, NULL, 0);
    }
    snprintf(command, sizeof command, "rm -rf '%s'", base->folder);
    if (system(command) != 0) {
        fail_base(command);
    }
    free(base->folder);
}

static void *sqlite_connect(const struct base *base)
{
    char path[256];
    sqlite3 *connection;
    snprintf(path, sizeof path, "%s/base.sqlite", base->folder);
    if (sqlite3_open(path, &connection) != SQLITE_OK ||
        sqlite3_exec(connection, "pragma journal_mode = wal", NULL, NULL, NULL) != SQLITE_OK) {
        fail_base(path);
    }
    sqlite3_exec(connection, "pragma synchronous = normal", NULL, NULL, NULL);
    sqlite3_busy_timeout(connection, 20000);
    return connection;
}

static void *postgres_connect(const struct base *base)
{
#ifdef HAVE_LIBPQ
    char info[256];
    snprintf(info, sizeof info, "host=%s user=tidings dbname=postgres", base->folder);
    PGconn *connection = PQconnectdb(info);
    if (PQstatus(connection) != CONNECTION_OK) {
        fail_base(PQerrorMessage(connection));
    }
    return connection;
#else
    return NULL;
#endif
}

static void postgres_close(void *connection)
{
#ifdef HAVE_LIBPQ
    PQfinish(connection);
#endif
}

struct sql base_connect(const struct base *base)
{
    struct sql sql;
    struct tidings_error error;
    struct tidings_db db = {.kind = base->kind,
                            .connection = base->kind == TIDINGS_SQLITE ? sqlite_connect(base)
                                                                       : postgres_connect(base)};
    if (sql_begin(db, &sql, &error) != TIDINGS_OK) {
        fail_msg("%s", error.text);
    }
    return sql;
}

void base_close(struct sql *sql)
{
    if (sql->driver == &sql_sqlite_driver) {
        sqlite3_close(sql->connection);
    } else {
        postgres_close(sql->connection);
    }
}

struct tidings_db base_db(const struct sql *sql)
{
    return sql->driver == &sql_sqlite_driver ? tidings_sqlite(sql->connection)
                                             : tidings_postgres(sql->connection);
}

void base_do(const struct sql *sql, const char *text)
{
    struct tidings_error error;
    if (sql_do(sql, text, &error) != SQL_OK) {
        fail_msg("%s: %s", text, error.text);
    }
}

static void on_number(void *context, const struct sql_value *columns)
{
    *(int64_t *)context = columns[0].number;
}

int64_t base_number(const struct sql *sql, const char *text)
{
    int64_t number = -1;
    struct tidings_error error;
    struct sql_statement ask = {.text = text, .row = on_number, .context = &number};
    if (sql_run(sql, &ask, &error) != SQL_OK) {
        fail_msg("%s: %s", text, error.text);
    }
    return number;
}

int base_setup(void **state)
{
    struct base *base = calloc(1, sizeof *base);
    base_start(base);
    *state = base;
    return 0;
}

int base_teardown(void **state)
{
    base_stop(*state);
    free(*state);
    return 0;
}
