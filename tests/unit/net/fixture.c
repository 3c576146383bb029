#include "fixture.h"

#include "base/clock.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void span_sent(void *owner)
{
    struct server *server = owner;
    atomic_fetch_sub(&server->spans_out, 1);
}

static void reply_bytes(struct net *net, struct reply_token token, struct slice bytes)
{
    struct reply reply = {0};
    buf_append_slice(&reply.bytes, bytes);
    net_reply(net, token, &reply);
}

static void reply_many(struct server *server, struct reply_token token, struct slice frame)
{
    struct reply reply = {0};
    uint32_t size = load_be32(frame.data + 1);
    memset(buf_extend(&reply.bytes, size), 'b', size);
    net_reply(server->net, token, &reply);
}

static void reply_file(struct server *server, struct reply_token token, struct slice frame)
{
    struct reply reply = {0};
    buf_append_str(&reply.bytes, "<>");
    size_t count = (frame.size - 1) / 8;
    reply.spans = mem_new_array(struct reply_span, count);
    reply.span_count = count;
    for (size_t i = 0; i < count; i++) {
        reply.spans[i].offset = 1;
        reply.spans[i].span = (struct file_span){.fd = server->file_fd,
                                                 .position = load_be32(frame.data + 1 + 8 * i),
                                                 .size = load_be32(frame.data + 5 + 8 * i),
                                                 .owner = server,
                                                 .release = span_sent};
        atomic_fetch_add(&server->spans_out, 1);
    }
    net_reply(server->net, token, &reply);
}

static void reply_order(struct server *server, struct reply_token token)
{
    uint8_t count[4];
    store_be32(count, atomic_load(&server->frames));
    reply_bytes(server->net, token, slice_of(count, sizeof count));
}

static void work(int64_t ns)
{
    int64_t until_ns = clock_now_ns() + ns;
    while (clock_now_ns() < until_ns) {
    }
}

static void park(struct server *server, struct reply_token token)
{
    pthread_mutex_lock(&server->lock);
    assert_true(server->parked_count < MAX_PARKED);
    server->parked[server->parked_count++] = token;
    pthread_mutex_unlock(&server->lock);
}

static void on_frame(void *context, struct conn *conn, struct reply_token token, struct slice frame)
{
    struct server *server = context;
    struct reply reply = {0};
    atomic_fetch_add(&server->frames, 1);
    switch (frame.data[0]) {
    case 'n':
        reply.nothing = true;
        net_reply(server->net, token, &reply);
        break;
    case 'c':
        buf_append_slice(&reply.bytes, frame);
        reply.close_after = true;
        net_reply(server->net, token, &reply);
        break;
    case 'x':
        reply.nothing = reply.close_after = true;
        net_reply(server->net, token, &reply);
        break;
    case 'h':
        conn_hold(conn, token);
        park(server, token);
        break;
    case 'S':
        work(500000);
        park(server, token);
        break;
    case 'p':
        park(server, token);
        break;
    case 'b':
        reply_many(server, token, frame);
        break;
    case 'O':
        reply_order(server, token);
        break;
    case 'G':
        sem_wait(&server->gate);
        reply_bytes(server->net, token, frame);
        break;
    case 'W':
    case 'L':
        work(frame.data[0] == 'W' ? 500000 : 5000000);
        reply_bytes(server->net, token, frame);
        break;
    case 'N':
        reply_bytes(server->net, token,
                    slice_str(conn_peer_name(conn) != NULL ? conn_peer_name(conn) : "nobody"));
        break;
    case 'f':
        reply_file(server, token, frame);
        break;
    default:
        reply_bytes(server->net, token, frame);
        break;
    }
}

static void on_open(void *context, struct conn *conn)
{
    struct server *server = context;
    conn_set_user(conn, server);
    pthread_mutex_lock(&server->lock);
    snprintf(server->peer, sizeof server->peer, "%s", conn_peer(conn));
    conn_local_address(conn, server->local_host, sizeof server->local_host, &server->local_port);
    pthread_mutex_unlock(&server->lock);
    assert_int_equal(conn_listener(conn), 0);
    atomic_fetch_add(&server->opened_on[reactor_index(conn_reactor(conn))], 1);
    atomic_fetch_add(&server->opened, 1);
}

static void on_close(void *context, struct conn *conn, enum conn_end end)
{
    struct server *server = context;
    assert_ptr_equal(conn_user(conn), server);
    atomic_store(&server->last_end, (int)end);
    atomic_fetch_add(&server->closed, 1);
}

static void on_hurry(void *context, struct conn *conn)
{
    struct server *server = context;
    assert_ptr_equal(conn_user(conn), server);
    atomic_fetch_add(&server->hurried, 1);
}

static void on_turn_end(void *context, struct reactor *reactor)
{
    struct server *server = context;
    (void)reactor;
    atomic_fetch_add(&server->turns, 1);
}

int server_set_up(void **state)
{
    struct server *server = mem_new(struct server);
    net_config_init(&server->config);
    server->config.reactor_count = 2;
    server->host = "127.0.0.1";
    server->transport = &transport_plain;
    server->file_fd = -1;
    atomic_store(&server->last_end, -1);
    sem_init(&server->gate, 0, 0);
    pthread_mutex_init(&server->lock, NULL);
    *state = server;
    return 0;
}

void server_start(struct server *server)
{
    struct net_handler handler = {.context = server,
                                  .on_open = on_open,
                                  .on_frame = on_frame,
                                  .on_close = on_close,
                                  .on_hurry = on_hurry,
                                  .on_turn_end = on_turn_end};
    struct reason reason = {.text = ""};
    if (net_new(&server->config, &handler, &server->net, &reason) != ERR_NONE ||
        net_listen(server->net, server->transport, server->host, 0, &server->port, &reason) !=
            ERR_NONE ||
        net_start(server->net, &reason) != ERR_NONE) {
        fail_msg("%s", reason.text);
    }
}

int server_tear_down(void **state)
{
    struct server *server = *state;
    net_free(server->net);
    assert_int_equal(atomic_load(&server->opened), atomic_load(&server->closed));
    assert_int_equal(atomic_load(&server->spans_out), 0);
    if (server->file_fd >= 0) {
        close(server->file_fd);
    }
    pthread_mutex_destroy(&server->lock);
    sem_destroy(&server->gate);
    free(server);
    return 0;
}

struct reply_token server_parked(struct server *server, unsigned index)
{
    for (unsigned tries = 0;; tries++) {
        pthread_mutex_lock(&server->lock);
        bool there = server->parked_count > index;
        struct reply_token token = server->parked[index];
        pthread_mutex_unlock(&server->lock);
        if (there) {
            return token;
        }
        wait_a_bit(tries, "a parked frame");
    }
}

void server_complete(struct server *server, struct reply_token token, const char *text)
{
    reply_bytes(server->net, token, slice_str(text));
}

void wait_a_bit(unsigned tries, const char *condition)
{
    if (tries > 20000) {
        fail_msg("waited in vain for: %s", condition);
    }
    struct timespec time = {.tv_nsec = 1000000};
    nanosleep(&time, NULL);
}

int client_connect(const struct server *server)
{
    return client_connect_from(server, INADDR_LOOPBACK);
}

int client_connect_from(const struct server *server, uint32_t address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    struct timeval limit = {.tv_sec = 20};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(server->port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        fail_msg("connect: %s", strerror(errno));
    }
    return fd;
}

void client_send(int fd, const void *data, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t sent = send(fd, (const char *)data + done, size - done, MSG_NOSIGNAL);
        if (sent <= 0) {
            fail_msg("send: %s", strerror(errno));
        }
        done += (size_t)sent;
    }
}

void append_frame(struct buf *to, const void *data, size_t size)
{
    buf_append_be32(to, (uint32_t)size);
    buf_append(to, data, size);
}

void client_send_frame(int fd, const void *data, size_t size)
{
    struct buf bytes = {0};
    append_frame(&bytes, data, size);
    client_send(fd, bytes.data, bytes.size);
    buf_deinit(&bytes);
}

void client_send_text(int fd, const char *frame)
{
    client_send_frame(fd, frame, strlen(frame));
}

void client_send_row(int fd, const char *const *frames)
{
    struct buf bytes = {0};
    for (; *frames != NULL; frames++) {
        append_frame(&bytes, *frames, strlen(*frames));
    }
    client_send(fd, bytes.data, bytes.size);
    buf_deinit(&bytes);
}

/* How many bytes came before the end of the stream. */
static size_t read_fully(int fd, void *to, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t got = recv(fd, (char *)to + done, size - done, 0);
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            fail_msg("no bytes came for 20 seconds");
        }
        if (got <= 0) {
            break;
        }
        done += (size_t)got;
    }
    return done;
}

bool client_read_frame(int fd, struct buf *frame)
{
    uint8_t prefix[4];
    buf_clear(frame);
    if (read_fully(fd, prefix, sizeof prefix) < sizeof prefix) {
        return false;
    }
    size_t size = load_be32(prefix);
    return read_fully(fd, buf_extend(frame, size), size) == size;
}

void client_expect(int fd, const char *text)
{
    struct buf frame = {0};
    assert_true(client_read_frame(fd, &frame));
    assert_string_equal(buf_cstr(&frame), text);
    buf_deinit(&frame);
}

void client_expect_echo(int fd)
{
    client_send_text(fd, "echo");
    client_expect(fd, "echo");
}

bool client_is_closed(int fd)
{
    char byte;
    return read_fully(fd, &byte, 1) == 0;
}

/* The real standard error while the log is caught: a descriptor no test uses. */
enum { SAVED_STDERR = 700 };

void log_catch(void)
{
    int fd = memfd_create("log", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_true(dup2(STDERR_FILENO, SAVED_STDERR) >= 0);
    assert_true(dup2(fd, STDERR_FILENO) >= 0);
    assert_int_equal(fcntl(STDERR_FILENO, F_SETFL, O_APPEND), 0);
    close(fd);
}

char *log_text(void)
{
    struct stat info;
    assert_int_equal(fstat(STDERR_FILENO, &info), 0);
    char *text = mem_zalloc((size_t)info.st_size + 1);
    assert_int_equal(pread(STDERR_FILENO, text, (size_t)info.st_size, 0), info.st_size);
    return text;
}

char *log_release(void)
{
    char *text = log_text();
    dup2(SAVED_STDERR, STDERR_FILENO);
    close(SAVED_STDERR);
    return text;
}

unsigned count_text(const char *text, const char *part)
{
    unsigned count = 0;
    while ((text = strstr(text, part)) != NULL) {
        count++;
        text += strlen(part);
    }
    return count;
}
