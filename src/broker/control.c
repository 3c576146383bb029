#include "broker/control.h"

#include "base/logger.h"
#include "base/mem.h"
#include "broker/control_words.h"
#include "topic/snapshot.h"
#include "topic/topic.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    CLIENTS_MAX = 8,
    LINE_MAX_BYTES = 4096,
};

struct control_client {
    int fd; /* -1: free */
    char line[LINE_MAX_BYTES];
    size_t size;
    char *snapshot; /* its folder; NULL: none */
};

struct control {
    char *snapshots_dir;
    char *socket_path;
    struct control_parts parts;
    const struct file_ops *files;
    int64_t started_ms; /* wall clock */
    int64_t next_snapshot;
    int listen_fd;
    int wake_fd;
    pthread_t thread;
    struct control_client clients[CLIENTS_MAX];
};

static void drop_snapshot(struct control *control, struct control_client *client)
{
    struct reason why;
    if (client->snapshot == NULL) {
        return;
    }
    if (file_remove_tree(control->files, client->snapshot, &why) != ERR_NONE) {
        LOG_WARN("broker", "a snapshot could not be removed; the next start removes it",
                 "reason=\"%s\"", why.text);
    }
    free(client->snapshot);
    client->snapshot = NULL;
}

static void close_client(struct control *control, struct control_client *client)
{
    close(client->fd);
    client->fd = -1;
    client->size = 0;
    drop_snapshot(control, client);
}

/* Takes the answer over. False: the client does not read, or is gone. */
static bool answer(struct control_client *client, json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    char *line = mem_sprintf("%s\n", text);
    size_t size = strlen(line);
    ssize_t sent = send(client->fd, line, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    free(text);
    free(line);
    return sent == (ssize_t)size;
}

static json_t *failure(const char *text)
{
    return control_failure(text);
}

/* What stands behind the word, "" for nothing; NULL: the line begins with another. */
static const char *words_behind(const char *line, const char *word)
{
    size_t size = strlen(word);
    bool is_it = strncmp(line, word, size) == 0 && (line[size] == ' ' || line[size] == '\0');
    return !is_it ? NULL : line[size] == ' ' ? line + size + 1 : "";
}

static enum err make_snapshot(struct control *control, const char *dir,
                              struct catalogue_snapshot *made, struct reason *reason)
{
    enum err err = file_make_dir(control->files, control->snapshots_dir, reason);
    if (err == ERR_NONE) {
        err = file_make_dir(control->files, dir, reason);
    }
    return err == ERR_NONE ? catalogue_snapshot(control->parts.catalogue, dir, made, reason) : err;
}

static json_t *do_snapshot(struct control *control, struct control_client *client)
{
    struct catalogue_snapshot made;
    struct reason reason;
    drop_snapshot(control, client); /* one for each connection */
    client->snapshot =
        mem_sprintf("%s/%lld", control->snapshots_dir, (long long)control->next_snapshot++);
    if (make_snapshot(control, client->snapshot, &made, &reason) != ERR_NONE) {
        drop_snapshot(control, client);
        LOG_WARN("broker", "no snapshot for a backup", "reason=\"%s\"", reason.text);
        return failure(reason.text);
    }
    const char *id = strrchr(client->snapshot, '/') + 1;
    LOG_INFO("broker", "snapshot for a backup",
             "id=%s topics=%d partitions=%d segments=%lld bytes=%lld appends_waited_us=%lld", id,
             (int)made.topics, (int)made.partitions, (long long)made.segments,
             (long long)made.bytes, (long long)made.frozen_us);
    return json_pack("{s:b,s:s,s:s,s:i,s:i,s:I,s:I,s:I,s:I}", "ok", 1, "snapshot", id, "cluster_id",
                     catalogue_cluster_id(control->parts.catalogue), "topics", (int)made.topics,
                     "partitions", (int)made.partitions, "segments", (json_int_t)made.segments,
                     "bytes", (json_int_t)made.bytes, "cut_ms", (json_int_t)made.cut_ms,
                     "appends_waited_us", (json_int_t)made.frozen_us);
}

static json_t *do_release(struct control *control, struct control_client *client)
{
    if (client->snapshot == NULL) {
        return failure("this connection has no snapshot");
    }
    drop_snapshot(control, client);
    return json_pack("{s:b}", "ok", 1);
}

/* How many topics, partitions and bytes there are, and how many partitions are offline. */
static void add_topics(const struct control *control, json_t *status)
{
    json_int_t partitions = 0, offline = 0, bytes = 0;
    struct topic_list *topics = catalogue_list(control->parts.catalogue);
    for (size_t i = 0; i < topics->count; i++) {
        for (int32_t p = 0; p < topic_partition_count(topics->items[i]); p++) {
            const struct partition *partition = topic_partition(topics->items[i], p);
            partitions++;
            offline += log_is_offline(partition->log);
            bytes += log_size_bytes(partition->log);
        }
    }
    json_object_set_new(status, "topics", json_integer((json_int_t)topics->count));
    topic_list_unref(topics);
    json_object_set_new(status, "partitions", json_integer(partitions));
    json_object_set_new(status, "offline_partitions", json_integer(offline));
    json_object_set_new(status, "bytes", json_integer(bytes));
}

static json_t *describe_cleaner(struct cleaner *cleaner)
{
    struct cleaner_stats stats;
    struct cleaner_work work;
    cleaner_stats(cleaner, &stats);
    cleaner_work(cleaner, &work);
    json_t *json =
        json_pack("{s:I,s:I,s:I,s:I}", "cleanings", (json_int_t)stats.cleanings, "failures",
                  (json_int_t)stats.failures, "moved_bytes", (json_int_t)stats.bytes_moved,
                  "freed_bytes", (json_int_t)stats.bytes_freed);
    json_t *now = !work.busy
                      ? json_null()
                      : json_pack("{s:s,s:i,s:s,s:i,s:I,s:I,s:I,s:I}", "topic", work.topic,
                                  "partition", (int)work.partition, "phase",
                                  work.phase == CLEANER_REWRITES ? "rewriting" : "keys", "pass",
                                  (int)work.pass, "log_bytes", (json_int_t)work.log_bytes,
                                  "moved_bytes", (json_int_t)work.moved_bytes, "at_most_bytes",
                                  (json_int_t)work.at_most_bytes, "ms", (json_int_t)work.ms);
    json_object_set_new(json, "now", now);
    return json;
}

/* memory.max, and of each share what is held, its limit, the most ever, how often it was refused.
 */
static json_t *describe_memory(const struct budget *budget)
{
    json_t *shares = json_array();
    for (int i = 0; i < BUDGET_SHARES; i++) {
        const struct budget_used *used = &budget->shares[i];
        json_t *share = json_pack(
            "{s:s,s:I,s:I,s:I,s:I}", "name", budget_share_name((enum budget_share)i), "used_bytes",
            (json_int_t)atomic_load(&used->bytes), "limit_bytes", (json_int_t)used->limit_bytes,
            "most_bytes", (json_int_t)atomic_load(&used->most_bytes), "refused",
            (json_int_t)atomic_load(&used->refused));
        json_array_append_new(shares, share);
    }
    return json_pack("{s:I,s:o}", "max_bytes", (json_int_t)budget->max_bytes, "shares", shares);
}

static json_t *do_status(const struct control *control)
{
    json_t *status =
        json_pack("{s:b,s:s,s:i,s:s,s:I}", "ok", 1, "version", TIDINGS_VERSION, "pid",
                  (int)getpid(), "cluster_id", catalogue_cluster_id(control->parts.catalogue),
                  "started_ms", (json_int_t)control->started_ms);
    add_topics(control, status);
    json_object_set_new(status, "memory", describe_memory(control->parts.budget));
    json_object_set_new(status, "cleaner",
                        control->parts.cleaner != NULL ? describe_cleaner(control->parts.cleaner)
                                                       : json_null());
    return status;
}

static json_t *run_line(struct control *control, struct control_client *client, const char *line)
{
    if (strcmp(line, "snapshot") == 0) {
        return do_snapshot(control, client);
    }
    if (strcmp(line, "release") == 0) {
        return do_release(control, client);
    }
    if (strcmp(line, "status") == 0) {
        return do_status(control);
    }
    const char *rest;
    if ((rest = words_behind(line, "users")) != NULL) {
        return control_users(&control->parts.users, rest);
    }
    if ((rest = words_behind(line, "clock")) != NULL) {
        return control_clock(control->parts.mover, rest);
    }
    if ((rest = words_behind(line, "chaos")) != NULL) {
        return control_chaos(&control->parts.chaos, rest);
    }
    return failure("unknown command; there are: snapshot, release, status, users, clock, chaos");
}

/* Runs the whole lines that have come; false: the connection is to end. */
static bool run_lines(struct control *control, struct control_client *client)
{
    char *end;
    while ((end = memchr(client->line, '\n', client->size)) != NULL) {
        *end = '\0';
        if (!answer(client, run_line(control, client, client->line))) {
            return false;
        }
        size_t used = (size_t)(end + 1 - client->line);
        memmove(client->line, end + 1, client->size - used);
        client->size -= used;
    }
    return client->size < LINE_MAX_BYTES;
}

static void read_client(struct control *control, struct control_client *client)
{
    ssize_t got =
        recv(client->fd, client->line + client->size, LINE_MAX_BYTES - client->size, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        close_client(control, client);
        return;
    }
    client->size += (size_t)got;
    if (!run_lines(control, client)) {
        close_client(control, client);
    }
}

static void accept_client(struct control *control)
{
    int fd = accept4(control->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    for (size_t i = 0; fd >= 0 && i < CLIENTS_MAX; i++) {
        if (control->clients[i].fd < 0) {
            control->clients[i] = (struct control_client){.fd = fd};
            return;
        }
    }
    if (fd >= 0) {
        LOG_WARN("broker", "too many control connections; a new one was refused", "limit=%d",
                 CLIENTS_MAX);
        close(fd);
    }
}

static void *control_run(void *argument)
{
    struct control *control = argument;
    struct pollfd polls[2 + CLIENTS_MAX];
    for (;;) {
        polls[0] = (struct pollfd){.fd = control->wake_fd, .events = POLLIN};
        polls[1] = (struct pollfd){.fd = control->listen_fd, .events = POLLIN};
        for (size_t i = 0; i < CLIENTS_MAX; i++) {
            polls[2 + i] = (struct pollfd){.fd = control->clients[i].fd, .events = POLLIN};
        }
        if (poll(polls, 2 + CLIENTS_MAX, -1) < 0) {
            continue;
        }
        if (polls[0].revents != 0) {
            return NULL;
        }
        for (size_t i = 0; i < CLIENTS_MAX; i++) {
            if (polls[2 + i].revents != 0) {
                read_client(control, &control->clients[i]);
            }
        }
        if (polls[1].revents != 0) {
            accept_client(control);
        }
    }
}

/* Bound through the directory's descriptor: a socket's path is short, a data directory's may not
 * be. The mode is set before the name exists. */
static enum err bind_socket(struct control *control, int dir_fd, struct reason *reason)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/control", dir_fd);
    unlinkat(dir_fd, "control", 0); /* of a killed server: the directory is locked */
    control->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (control->listen_fd < 0 || fchmod(control->listen_fd, 0600) != 0 ||
        bind(control->listen_fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(control->listen_fd, CLIENTS_MAX) != 0) {
        return reason_errno(reason, "cannot listen at %s", control->socket_path);
    }
    return ERR_NONE;
}

enum err control_new(const char *data_dir, int dir_fd, const struct control_parts *parts,
                     struct control **out, struct reason *reason)
{
    struct control *control = mem_new(struct control);
    control->files = file_ops_system();
    control->parts = *parts;
    control->started_ms = clock_wall_ms(clock_system());
    control->snapshots_dir = mem_sprintf("%s/snapshots", data_dir);
    control->socket_path = mem_sprintf("%s/control", data_dir);
    control->next_snapshot = control->started_ms;
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        control->clients[i].fd = -1;
    }
    control->wake_fd = eventfd(0, EFD_CLOEXEC);
    enum err err = file_remove_tree(control->files, control->snapshots_dir, reason);
    if (err == ERR_NONE) {
        err = bind_socket(control, dir_fd, reason);
    }
    if (err == ERR_NONE && pthread_create(&control->thread, NULL, control_run, control) != 0) {
        err = reason_fail(reason, ERR_LIMIT, "cannot start the control thread");
    }
    *out = control;
    return err; /* on an error the process ends */
}

void control_free(struct control *control)
{
    if (control == NULL) {
        return;
    }
    uint64_t one = 1;
    if (write(control->wake_fd, &one, sizeof one) == sizeof one) {
        pthread_join(control->thread, NULL);
    }
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        if (control->clients[i].fd >= 0) {
            close_client(control, &control->clients[i]);
        }
    }
    rmdir(control->snapshots_dir); /* empty now */
    unlink(control->socket_path);
    close(control->listen_fd);
    close(control->wake_fd);
    free(control->snapshots_dir);
    free(control->socket_path);
    free(control);
}
