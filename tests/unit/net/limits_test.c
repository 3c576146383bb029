#include "../unit.h"
#include "fixture.h"

#include "base/logger.h"
#include "base/mem.h"
#include "base/own_peers.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Bad frames, slow peers, limits, the clean stop. */

/* Sends the bytes on a new connection and expects it closed, with one log line of this reason. */
static void expect_refused(struct server *server, const char *bytes, size_t size, const char *why)
{
    unsigned closed = atomic_load(&server->closed);
    log_catch();
    int fd = client_connect(server);
    client_send(fd, bytes, size);
    assert_true(client_is_closed(fd));
    close(fd);
    wait_until(atomic_load(&server->closed) == closed + 1);
    char *text = log_release();
    if (count_text(text, why) != 1 || count_text(text, "\n") != 1) {
        fail_msg("log is: %s", text);
    }
    free(text);
    assert_int_equal(atomic_load(&server->last_end), CONN_END_BAD_FRAME);
}

static void test_bad_frames_close_only_their_connection(void **state)
{
    struct server *server = *state;
    server->config.max_frame_bytes = 1000;
    server_start(server);
    int good = client_connect(server);
    client_expect_echo(good);
    expect_refused(server, "\xff\xff\xff\xff", 4, "is negative");
    expect_refused(server, "\0\0\0\0", 4, "is zero");
    expect_refused(server, "\0\0\x03\xe9", 4, "request size 1001 is over the limit");
    expect_refused(server, "\x7f\xff\xff\xff", 4, "over the limit");
    expect_refused(server, "GET / HTTP/1.1\r\n\r\n", 4, "looks like HTTP");
    expect_refused(server, "POST", 4, "looks like HTTP");
    expect_refused(server, "\x16\x03\x01\x02", 4, "looks like TLS");
    client_expect_echo(good);
    struct buf most = {0};
    memset(buf_extend(&most, 1000), 'e', 1000);
    client_send_frame(good, most.data, most.size);
    struct buf got = {0};
    assert_true(client_read_frame(good, &got));
    assert_int_equal(got.size, 1000);
    buf_deinit(&got);
    buf_deinit(&most);
    close(good);
}

static void test_the_log_of_bad_frames_is_limited(void **state)
{
    enum { CONNECTIONS = 400 };
    struct server *server = *state;
    server->config.reactor_count = 1;
    server_start(server);
    log_catch();
    for (int i = 0; i < CONNECTIONS; i++) {
        int fd = client_connect(server);
        client_send(fd, "\xff\xff\xff\xff", 4);
        assert_true(client_is_closed(fd));
        close(fd);
    }
    net_stop(server->net);
    logger_tell_left_out();
    char *text = log_release();
    unsigned lines = count_text(text, "is negative");
    unsigned left_out = 0;
    for (const char *at = text; (at = strstr(at, "left out\" count=")) != NULL; at++) {
        left_out += (unsigned)atoi(at + strlen("left out\" count="));
    }
    free(text);
    assert_int_equal(lines + left_out, CONNECTIONS); /* each is seen, if only as a number */
}

static void test_a_slow_reader_is_bounded_and_closed(void **state)
{
    struct server *server = *state;
    server->config.max_unsent_bytes = 1 << 20;
    server->config.stall_timeout_ms = 300;
    server_start(server);
    int good = client_connect(server);
    int slow = client_connect(server);
    struct buf requests = {0};
    for (int i = 0; i < 1000; i++) {
        append_frame(&requests, "b\0\x04\0\0", 5); /* 256 KiB each */
    }
    client_send(slow, requests.data, requests.size);
    wait_until(atomic_load(&server->closed) == 1);
    assert_int_equal(atomic_load(&server->last_end), CONN_END_SLOW);
    /* The sockets hold a few MiB, net one more; far from 1000 replies. */
    assert_in_range(atomic_load(&server->frames), 5, 200);
    client_expect_echo(good);
    buf_deinit(&requests);
    close(good);
    close(slow);
}

/* A reader that is slow but steady is kept, and gets every byte. */
static void test_a_slow_but_steady_reader_gets_every_byte(void **state)
{
    struct server *server = *state;
    server->config.max_unsent_bytes = 1 << 20;
    server_start(server);
    int fd = client_connect(server);
    struct buf frame = {0};
    for (int i = 0; i < 8; i++) {
        client_send_frame(fd, "b\x01\0\0\0", 5); /* 16 MiB */
    }
    for (int i = 0; i < 8; i++) {
        assert_true(client_read_frame(fd, &frame));
        assert_int_equal(frame.size, 16 << 20);
        assert_int_equal(frame.data[0], 'b');
        assert_int_equal(frame.data[frame.size - 1], 'b');
    }
    client_expect_echo(fd);
    buf_deinit(&frame);
    close(fd);
}

static void test_half_a_frame_ends_its_connection(void **state)
{
    static const size_t parts[] = {2, 4, 50};
    struct server *server = *state;
    server->config.stall_timeout_ms = 50;
    server_start(server);
    struct buf bytes = {0};
    append_frame(&bytes, "e0123456789012345678901234567890123456789012345678901234567890", 60);
    for (unsigned i = 0; i < 3; i++) {
        int fd = client_connect(server);
        client_expect_echo(fd); /* a whole frame is no reason to close */
        client_send(fd, bytes.data, parts[i]);
        assert_true(client_is_closed(fd));
        close(fd);
        wait_until(atomic_load(&server->closed) == i + 1);
        assert_int_equal(atomic_load(&server->last_end), CONN_END_SLOW);
    }
    buf_deinit(&bytes);
}

/* A byte now and then is no progress: the frame must end in time. */
static void test_a_byte_now_and_then_is_no_progress(void **state)
{
    struct server *server = *state;
    server->config.stall_timeout_ms = 200;
    server_start(server);
    int fd = client_connect(server);
    client_send(fd, "\0\x10\0\0", 4);
    for (unsigned tries = 0; atomic_load(&server->closed) == 0; tries++) {
        (void)!send(fd, "x", 1, MSG_NOSIGNAL);
        wait_a_bit(tries, "the slow connection closed");
    }
    assert_int_equal(atomic_load(&server->last_end), CONN_END_SLOW);
    close(fd);
}

static void test_who_is_idle_is_closed_but_not_who_waits_for_a_reply(void **state)
{
    struct server *server = *state;
    server->config.idle_timeout_ms = 100;
    server_start(server);
    int parked = client_connect(server);
    client_send_text(parked, "p");
    struct reply_token token = server_parked(server, 0);
    int idle = client_connect(server);
    int used = client_connect(server);
    client_expect_echo(used);
    assert_true(client_is_closed(idle));
    assert_true(client_is_closed(used));
    wait_until(atomic_load(&server->closed) == 2);
    assert_int_equal(atomic_load(&server->last_end), CONN_END_IDLE);
    server_complete(server, token, "done");
    client_expect(parked, "done");
    assert_true(client_is_closed(parked));
    close(parked);
    close(idle);
    close(used);
}

static void test_a_thousand_connections_spread_evenly(void **state)
{
    enum { CONNECTIONS = 1000 };
    struct server *server = *state;
    server->config.reactor_count = 4;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
    setrlimit(RLIMIT_NOFILE, &limit);
    server_start(server);
    static int fds[CONNECTIONS];
    for (int i = 0; i < CONNECTIONS; i++) {
        fds[i] = client_connect(server);
    }
    for (int i = 0; i < CONNECTIONS; i++) {
        client_send_text(fds[i], "echo");
    }
    for (int i = 0; i < CONNECTIONS; i++) {
        client_expect(fds[i], "echo");
    }
    assert_int_equal(net_connection_count(server->net), CONNECTIONS);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(atomic_load(&server->opened_on[i]), CONNECTIONS / 4);
    }
    for (int i = 0; i < CONNECTIONS; i++) {
        close(fds[i]);
    }
    wait_until(net_connection_count(server->net) == 0);
}

static void test_new_connections_go_where_few_are(void **state)
{
    struct server *server = *state;
    server_start(server);
    int fds[6];
    for (int i = 0; i < 4; i++) {
        fds[i] = client_connect(server);
        client_expect_echo(fds[i]);
    }
    assert_int_equal(atomic_load(&server->opened_on[0]), 2);
    assert_int_equal(atomic_load(&server->opened_on[1]), 2);
    close(fds[1]); /* both on reactor 1, as the first goes to reactor 0 */
    close(fds[3]);
    wait_until(net_connection_count(server->net) == 2);
    for (int i = 4; i < 6; i++) {
        fds[i] = client_connect(server);
        client_expect_echo(fds[i]);
    }
    assert_int_equal(atomic_load(&server->opened_on[1]), 4);
    close(fds[0]);
    close(fds[2]);
    close(fds[4]);
    close(fds[5]);
}

static void expect_turned_away(struct server *server, const char *why)
{
    log_catch();
    int fd = client_connect(server);
    assert_true(client_is_closed(fd));
    close(fd);
    char *text = log_release();
    assert_non_null(strstr(text, why));
    free(text);
}

static void limited(struct server *server, const char *why)
{
    server_start(server);
    int a = client_connect(server), b = client_connect(server);
    client_expect_echo(a);
    client_expect_echo(b);
    expect_turned_away(server, why);
    struct net_stats stats;
    net_stats(server->net, &stats);
    assert_int_equal(stats.closed[CONN_END_LIMIT], 1);
    close(a);
    wait_until(net_connection_count(server->net) == 1);
    a = client_connect(server);
    client_expect_echo(a);
    client_expect_echo(b);
    close(a);
    close(b);
}

static void test_connections_over_the_limit_are_refused(void **state)
{
    struct server *server = *state;
    server->config.max_connections = 2;
    limited(server, "(max.connections)");
}

static void test_connections_of_one_address_over_its_limit_are_refused(void **state)
{
    struct server *server = *state;
    server->config.max_connections_per_ip = 2;
    limited(server, "(max.connections.per.ip)");
}

/* A server that has no place left is still there for what stands beside it in its process. */
static void test_connections_of_this_process_count_for_no_limit(void **state)
{
    struct server *server = *state;
    struct own_peers *peers = own_peers_new();
    struct sockaddr_in to = {.sin_family = AF_INET};
    int own[3];
    server->config.max_connections = 2;
    server->config.max_connections_per_ip = 2;
    server->config.own_peers = peers;
    server_start(server);
    to.sin_port = htons(server->port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < 3; i++) {
        own[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(own_peers_connect(peers, own[i], (struct sockaddr *)&to, sizeof to), 0);
        client_expect_echo(own[i]);
        assert_int_equal(net_connection_count(server->net), 0);
    }
    int a = client_connect(server);
    int b = client_connect(server);
    client_expect_echo(a);
    client_expect_echo(b);
    expect_turned_away(server, "(max.connections)");
    close(own[0]);
    own[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(own_peers_connect(peers, own[0], (struct sockaddr *)&to, sizeof to), 0);
    client_expect_echo(own[0]);
    expect_turned_away(server, "(max.connections)"); /* that one went is no place for a client */
    assert_int_equal(net_connection_count(server->net), 2);
    close(a);
    wait_until(net_connection_count(server->net) == 1);
    a = client_connect(server);
    client_expect_echo(a);
    close(a);
    close(b);
    for (int i = 0; i < 3; i++) {
        close(own[i]);
    }
    wait_until(net_connection_count(server->net) == 0);
    net_stop(server->net);
    own_peers_unref(peers);
}

static void test_want_of_descriptors_pauses_accepting(void **state)
{
    struct server *server = *state;
    server_start(server);
    int good = client_connect(server);
    client_expect_echo(good);
    log_catch();
    struct rlimit before, none;
    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    int waiting = client_connect(server); /* may be taken, but the next socket can not */
    client_expect_echo(waiting);
    int next = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int blocker = dup(next); /* the lowest free number is above it now */
    none.rlim_cur = (rlim_t)blocker + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(server->port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(next, (struct sockaddr *)&to, sizeof to), 0);
    client_send_text(next, "echo");
    for (unsigned tries = 0;; tries++) {
        char *text = log_text();
        bool told = strstr(text, "cannot accept connections") != NULL;
        free(text);
        if (told) {
            break;
        }
        wait_a_bit(tries, "the log line");
    }
    client_expect_echo(good); /* the others go on */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    client_expect(next, "echo");
    char *text = log_release();
    assert_in_range(count_text(text, "\n"), 1, 50); /* paused, not spinning */
    free(text);
    close(blocker);
    close(next);
    close(waiting);
    close(good);
}

enum { LARGE_CLIENTS = 6, LARGE_BYTES = 400000 };

struct large_client {
    pthread_t thread;
    const struct buf *frame;
    size_t sent;
    int fd;
    bool answered;
};

static void *finish_large(void *context)
{
    struct large_client *client = context;
    struct buf got = {0};
    client_send(client->fd, client->frame->data + client->sent, client->frame->size - client->sent);
    client->answered = client_read_frame(client->fd, &got) && got.size == LARGE_BYTES &&
                       got.data[LARGE_BYTES - 1] == 'e';
    buf_deinit(&got);
    return NULL;
}

/* Room for less than one frame: the half-read ones go on one after another, and all get through. */
static void test_memory_for_requests_is_given_in_turn(void **state)
{
    struct server *server = *state;
    server->config.request_memory_bytes = 300000;
    server_start(server);
    struct buf frame = {0};
    buf_append_be32(&frame, LARGE_BYTES);
    memset(buf_extend(&frame, LARGE_BYTES), 'e', LARGE_BYTES);
    struct large_client clients[LARGE_CLIENTS];
    for (unsigned i = 0; i < LARGE_CLIENTS; i++) {
        clients[i] = (struct large_client){.frame = &frame, .sent = 70000 + 10000 * i};
        clients[i].fd = client_connect(server);
        client_send(clients[i].fd, frame.data, clients[i].sent);
    }
    int small = client_connect(server); /* small frames do not wait */
    client_expect_echo(small);
    close(clients[2].fd); /* two give up, wherever they stand in line */
    close(clients[4].fd);
    for (unsigned i = 0; i < LARGE_CLIENTS; i++) {
        if (i != 2 && i != 4) {
            pthread_create(&clients[i].thread, NULL, finish_large, &clients[i]);
        }
    }
    for (unsigned i = 0; i < LARGE_CLIENTS; i++) {
        if (i != 2 && i != 4) {
            pthread_join(clients[i].thread, NULL);
            assert_true(clients[i].answered);
            close(clients[i].fd);
        }
    }
    buf_deinit(&frame);
    close(small);
    wait_until(net_connection_count(server->net) == 0);
}

struct visit {
    struct task task;
    atomic_bool done;
};

static void visited(struct task *task)
{
    atomic_store(&container_of(task, struct visit, task)->done, true);
}

/* Returns when every reactor has run what this thread posted before. */
static void visit_reactors(struct server *server)
{
    for (unsigned i = 0; i < net_reactor_count(server->net); i++) {
        struct visit visit = {.task.run = visited};
        reactor_post(net_reactor(server->net, i), &visit.task);
        wait_until(atomic_load(&visit.done));
    }
}

static void test_a_drain_answers_what_came_before_and_reads_no_more(void **state)
{
    struct server *server = *state;
    server_start(server);
    int fd = client_connect(server);
    client_send_text(fd, "p");
    client_send_text(fd, "p");
    struct reply_token first = server_parked(server, 0);
    struct reply_token second = server_parked(server, 1);
    assert_false(net_drained(server->net));
    net_drain(server->net);
    visit_reactors(server);
    client_send_text(fd, "e too late");
    server_complete(server, second, "second");
    assert_false(net_drained(server->net));
    server_complete(server, first, "first");
    wait_until(net_drained(server->net));
    client_expect(fd, "first");
    client_expect(fd, "second");
    net_stop(server->net);
    assert_int_equal(atomic_load(&server->frames), 2);
    assert_int_equal(atomic_load(&server->last_end), CONN_END_STOP);
    assert_true(client_is_closed(fd));
    close(fd);
}

static void test_a_stop_frees_what_is_owed_and_half_read(void **state)
{
    struct server *server = *state;
    server_start(server);
    int parked = client_connect(server), half = client_connect(server);
    client_send_text(parked, "p");
    struct reply_token token = server_parked(server, 0);
    client_send(half, "\0\x01\x86\xa0 half", 9);
    client_send_text(parked, "e");
    wait_until(atomic_load(&server->frames) == 2);
    net_stop(server->net);
    server_complete(server, token, "after the stop");
    assert_int_equal(net_connection_count(server->net), 0);
    close(parked);
    close(half);
}

static void test_a_bad_setting_and_a_port_in_use_are_told(void **state)
{
    struct server *server = *state;
    struct net_handler handler = {0};
    struct net *net = NULL;
    struct reason reason = {.text = ""};
    server->config.reactor_count = 65;
    assert_int_equal(net_new(&server->config, &handler, &net, &reason), ERR_CONFIG);
    assert_non_null(strstr(reason.text, "reactors"));
    server->config.reactor_count = 1;
    server_start(server);
    assert_int_equal(net_new(&server->config, &handler, &net, &reason), ERR_NONE);
    uint16_t port;
    assert_int_equal(net_listen(net, &transport_plain, "127.0.0.1", server->port, &port, &reason),
                     ERR_EXISTS);
    assert_non_null(strstr(reason.text, "127.0.0.1:"));
    assert_non_null(strstr(reason.text, "in use"));
    assert_int_equal(net_listen(net, &transport_plain, "no such host", 0, &port, &reason),
                     ERR_INVALID);
    assert_int_equal(net_listen(net, &transport_plain, "localhost", 0, &port, &reason), ERR_NONE);
    assert_true(port > 0);
    assert_int_equal(net_listen(net, &transport_plain, "*", 0, &port, &reason), ERR_NONE);
    net_free(net);
}

/* An IPv4 client of an any-address socket is shown as IPv4. */
static void test_an_ipv4_client_is_shown_as_ipv4(void **state)
{
    struct server *server = *state;
    server->host = "*";
    server_start(server);
    int fd = client_connect(server);
    client_expect_echo(fd);
    struct sockaddr_in own = {0};
    socklen_t size = sizeof own;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &size), 0);
    char expected[64];
    snprintf(expected, sizeof expected, "127.0.0.1:%u", ntohs(own.sin_port));
    pthread_mutex_lock(&server->lock);
    assert_string_equal(server->peer, expected);
    assert_string_equal(server->local_host, "127.0.0.1");
    assert_int_equal(server->local_port, server->port);
    pthread_mutex_unlock(&server->lock);
    close(fd);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(test_bad_frames_close_only_their_connection),
        SERVER_TEST(test_the_log_of_bad_frames_is_limited),
        SERVER_TEST(test_a_slow_reader_is_bounded_and_closed),
        SERVER_TEST(test_a_slow_but_steady_reader_gets_every_byte),
        SERVER_TEST(test_half_a_frame_ends_its_connection),
        SERVER_TEST(test_a_byte_now_and_then_is_no_progress),
        SERVER_TEST(test_who_is_idle_is_closed_but_not_who_waits_for_a_reply),
        SERVER_TEST(test_a_thousand_connections_spread_evenly),
        SERVER_TEST(test_new_connections_go_where_few_are),
        SERVER_TEST(test_connections_over_the_limit_are_refused),
        SERVER_TEST(test_connections_of_one_address_over_its_limit_are_refused),
        SERVER_TEST(test_connections_of_this_process_count_for_no_limit),
        SERVER_TEST(test_want_of_descriptors_pauses_accepting),
        SERVER_TEST(test_memory_for_requests_is_given_in_turn),
        SERVER_TEST(test_a_drain_answers_what_came_before_and_reads_no_more),
        SERVER_TEST(test_a_stop_frees_what_is_owed_and_half_read),
        SERVER_TEST(test_an_ipv4_client_is_shown_as_ipv4),
        SERVER_TEST(test_a_bad_setting_and_a_port_in_use_are_told),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
