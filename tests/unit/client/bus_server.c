#include "bus_server.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 120000 }; /* a machine may stand still for a minute */

static void fail(const char *what)
{
    perror(what);
    abort();
}

static void expect(enum client_status status, const struct client_error *error)
{
    if (status != CLIENT_OK) {
        fprintf(stderr, "%s\n", error->text);
        abort();
    }
}

/* A port that nobody else gets while the server is killed: the kernel gives one that is bound to
 * nobody who asks for any; who names it, with SO_REUSEADDR, may listen there. */
static void hold_port(struct bus_server *server)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int yes = 1;
    char address[32];
    server->held_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server->held_fd < 0 ||
        setsockopt(server->held_fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(server->held_fd, (struct sockaddr *)&at, sizeof at) != 0 ||
        getsockname(server->held_fd, (struct sockaddr *)&at, &size) != 0) {
        fail("a port for the server");
    }
    snprintf(address, sizeof address, "127.0.0.1:%d", ntohs(at.sin_port));
    server->address = strdup(address);
}

static void run_server(const struct bus_server *server, int ready_fd)
{
    char fd_text[16];
    const char *program = getenv("TIDINGS_BIN");
    snprintf(fd_text, sizeof fd_text, "%d", ready_fd);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (freopen("/dev/null", "w", stdout) == NULL ||
        (getenv("TEST_LOG") == NULL && freopen("/dev/null", "w", stderr) == NULL)) {
        fail("/dev/null");
    }
    execl(program, program, "serve", "--data", server->data, "--listen", server->address,
          "--ready-fd", fd_text, "--set", "group.min.session.timeout.ms=100", "--set",
          "auto.create.topics.enable=false", (char *)NULL);
    fail(program);
}

/* --- a cluster that somebody else started --- */

bool bus_server_is_foreign(void)
{
    return getenv("TEST_BUS") != NULL;
}

/* Of what tests made before. */
static void clear(struct bus_server *server)
{
    struct admin_topics topics;
    struct client_error error;
    expect(admin_topics(server->connection, &topics, &error), &error);
    for (size_t i = 0; i < topics.count; i++) {
        if (strncmp(topics.items[i].name, "__", 2) != 0) {
            bus_server_delete_topic(server, topics.items[i].name);
        }
    }
    admin_topics_deinit(&topics);
}

/* The process of one of its nodes, from the file broker-N.pid where it keeps them. */
static pid_t pid_of(int node)
{
    char name[512];
    int pid = 0;
    snprintf(name, sizeof name, "%s/broker-%d.pid", getenv("TEST_BUS_NODES"), node);
    FILE *file = fopen(name, "r");
    if (file == NULL || fscanf(file, "%d", &pid) != 1) {
        fail(name);
    }
    fclose(file);
    return pid;
}

static int node_count(void)
{
    int count = 1;
    for (const char *at = getenv("TEST_BUS"); (at = strchr(at, ',')) != NULL; at++) {
        count++;
    }
    return count;
}

/* All of them: else the others would go on. Who started them starts them again. */
static void kill_nodes(struct bus_server *server)
{
    for (int i = 0; i < node_count(); i++) {
        server->killed[i] = pid_of(i + 1);
        if (kill(server->killed[i], SIGKILL) != 0) {
            fail("a node was not killed");
        }
    }
}

/* Until they answer: a refused connection is told at once. */
static void wait_for_nodes(const struct bus_server *server)
{
    enum { LOOK_US = 50000 };
    struct client_error error;
    for (int i = 0; i < node_count(); i++) {
        while (pid_of(i + 1) == server->killed[i]) {
            usleep(LOOK_US);
        }
    }
    while (connection_reach(server->connection, &error) != CLIENT_OK) {
        usleep(LOOK_US);
    }
}

/* --- one of the test's own --- */

static void on_done(void *context, const struct publication *publication)
{
    ((struct bus_server *)context)->kept += publication->status == CLIENT_OK;
}

static void connect_to(struct bus_server *server)
{
    struct client_error error;
    struct connection_settings settings = bus_server_settings(server);
    settings.timeout_ms = PATIENCE_MS;
    struct publisher_settings publisher = {
        .connection = settings, .linger_ms = -1, .done = on_done, .done_context = server};
    expect(connection_open(&settings, &server->connection, &error), &error);
    expect(connection_reach(server->connection, &error), &error);
    expect(publisher_open(&publisher, &server->publisher, &error), &error);
}

/* Returns when it listens. */
static void launch(struct bus_server *server)
{
    int ready[2];
    char line[512];
    if (pipe(ready) != 0) {
        fail("pipe");
    }
    server->pid = fork();
    if (server->pid < 0) {
        fail("fork");
    }
    if (server->pid == 0) {
        close(ready[0]);
        run_server(server, ready[1]);
    }
    close(ready[1]);
    FILE *from = fdopen(ready[0], "r");
    if (fgets(line, sizeof line, from) == NULL || strstr(line, server->address) == NULL) {
        fail("no ready line");
    }
    fclose(from);
}

void bus_server_start(struct bus_server *server)
{
    char directory[] = "/tmp/tidings-client-test-XXXXXX";
    *server = (struct bus_server){0};
    if (bus_server_is_foreign()) {
        server->address = strdup(getenv("TEST_BUS"));
        connect_to(server);
        clear(server);
        return;
    }
    if (getenv("TIDINGS_BIN") == NULL) {
        fprintf(stderr, "TIDINGS_BIN names no server\n");
        abort();
    }
    if (mkdtemp(directory) == NULL) {
        fail("a place for the server");
    }
    server->data = strdup(directory);
    hold_port(server);
    launch(server);
    connect_to(server);
}

void bus_server_kill(struct bus_server *server)
{
    if (bus_server_is_foreign()) {
        kill_nodes(server);
        return;
    }
    kill(server->pid, SIGKILL);
    if (waitpid(server->pid, NULL, 0) != server->pid) {
        fail("the server was not killed");
    }
}

void bus_server_hang(struct bus_server *server)
{
    int status;
    kill(server->pid, SIGSTOP);
    waitpid(server->pid, &status, WUNTRACED); /* all its threads stand still */
}

void bus_server_go_on(struct bus_server *server)
{
    kill(server->pid, SIGCONT);
}

void bus_server_start_again(struct bus_server *server)
{
    struct client_error error;
    if (bus_server_is_foreign()) {
        wait_for_nodes(server);
        return;
    }
    launch(server);
    expect(connection_reach(server->connection, &error), &error);
}

void bus_server_stop(struct bus_server *server)
{
    int status;
    char command[256];
    publisher_close(server->publisher);
    connection_close(server->connection);
    if (bus_server_is_foreign()) {
        free(server->address);
        return;
    }
    kill(server->pid, SIGTERM);
    if (waitpid(server->pid, &status, 0) != server->pid || status != 0) {
        fail("the server did not end well");
    }
    snprintf(command, sizeof command, "rm -rf '%s'", server->data);
    if (system(command) != 0) {
        fail(command);
    }
    close(server->held_fd);
    free(server->data);
    free(server->address);
}

struct connection_settings bus_server_settings(const struct bus_server *server)
{
    return (struct connection_settings){.bootstrap_servers = server->address, .client_id = "test"};
}

void bus_server_topic(struct bus_server *server, const char *topic, int32_t partitions)
{
    struct admin_new_topic made = {.name = topic, .partition_count = partitions};
    struct admin_outcomes outcomes;
    struct client_error error;
    expect(admin_create_topics(server->connection, &made, 1, &outcomes, &error), &error);
    expect(outcomes.items[0].error.status, &outcomes.items[0].error);
    admin_outcomes_deinit(&outcomes);
}

void bus_server_delete_topic(struct bus_server *server, const char *topic)
{
    struct admin_outcomes outcomes;
    struct client_error error;
    expect(admin_delete_topics(server->connection, &topic, 1, &outcomes, &error), &error);
    expect(outcomes.items[0].error.status, &outcomes.items[0].error);
    admin_outcomes_deinit(&outcomes);
}

void bus_server_alter(struct bus_server *server, const char *topic, const char *name,
                      const char *value)
{
    struct admin_setting setting = {name, value};
    struct client_error error;
    expect(admin_replace_topic_settings(server->connection, topic, &setting, 1, &error), &error);
}

static void publish_all(struct bus_server *server, const struct event *events, int count)
{
    struct client_error error;
    server->kept = 0;
    for (int i = 0; i < count; i++) {
        expect(publisher_publish(server->publisher, &events[i], NULL, &error), &error);
    }
    if (publisher_flush(server->publisher, PATIENCE_MS) != CLIENT_OK || server->kept != count) {
        fprintf(stderr, "only %d of %d events were kept\n", server->kept, count);
        abort();
    }
}

void bus_server_put_event(struct bus_server *server, const struct event *event)
{
    publish_all(server, event, 1);
}

void bus_server_put(struct bus_server *server, const char *topic, int32_t partition,
                    const char *value)
{
    struct event event = event_blank();
    event.topic = topic;
    event.partition = partition;
    event.value = slice_str(value);
    publish_all(server, &event, 1);
}

void bus_server_put_numbers(struct bus_server *server, const char *topic, int32_t partition,
                            int first, int count)
{
    char(*values)[16] = calloc((size_t)count, sizeof *values);
    struct event *events = calloc((size_t)count, sizeof *events);
    for (int i = 0; i < count; i++) {
        snprintf(values[i], sizeof values[i], "%d", first + i);
        events[i] = event_blank();
        events[i].topic = topic;
        events[i].partition = partition;
        events[i].value = slice_str(values[i]);
    }
    publish_all(server, events, count);
    free(events);
    free(values);
}

void bus_server_delete_records(struct bus_server *server, const char *topic, int64_t before)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", server->address, text, sizeof text);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, 0)->offset = before;
    rd_kafka_DeleteRecords_t *asked = rd_kafka_DeleteRecords_new(list);
    rd_kafka_DeleteRecords(rk, &asked, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, PATIENCE_MS);
    if (event == NULL || rd_kafka_event_error(event) != 0) {
        fprintf(stderr, "records were not deleted\n");
        abort();
    }
    rd_kafka_event_destroy(event);
    rd_kafka_DeleteRecords_destroy(asked);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(rk);
}

int64_t bus_server_committed(struct bus_server *server, const char *group, const char *topic,
                             int32_t partition)
{
    struct topic_partitions offsets;
    struct client_error error;
    expect(admin_group_offsets(server->connection, group, NULL, &offsets, &error), &error);
    const struct topic_partition *found = topic_partitions_find(&offsets, topic, partition);
    int64_t offset = found != NULL ? found->offset : -1;
    topic_partitions_deinit(&offsets);
    return offset;
}

int bus_server_set_up(void **state)
{
    struct bus_server *bus = mem_new(struct bus_server);
    bus_server_start(bus);
    *state = bus;
    return 0;
}

int bus_server_tear_down(void **state)
{
    bus_server_stop(*state);
    free(*state);
    return 0;
}
