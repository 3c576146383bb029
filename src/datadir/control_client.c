#include "datadir/control_client.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { ANSWER_MAX_BYTES = 128 << 10 };

/* Waits a while for what poll can tell of fd; -1: only a while. */
static enum err wait_a_while(const struct control_wait *wait, int64_t until_ms, int fd,
                             short events, struct reason *reason)
{
    enum { STEP_MS = 100 };
    if (wait->stopped != NULL && wait->stopped(wait->context)) {
        return reason_fail(reason, ERR_AGAIN,
                           "stopped before the server answered; the same command goes on");
    }
    int64_t left_ms = until_ms - clock_mono_ms(clock_system());
    if (left_ms <= 0) {
        return reason_fail(reason, ERR_TIMEOUT,
                           "the server did not answer within %lld ms: is it stopped or hung?",
                           (long long)wait->timeout_ms);
    }
    struct pollfd polled = {.fd = fd, .events = events};
    poll(&polled, 1, left_ms < STEP_MS ? (int)left_ms : STEP_MS);
    return ERR_NONE;
}

enum err control_client_connect(int dir_fd, const struct control_wait *wait, int *fd,
                                struct reason *reason)
{
    /* Through the directory's descriptor: a socket's path is short. */
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/control", dir_fd);
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0) {
        return reason_errno(reason, "cannot make a socket");
    }
    int64_t until_ms = clock_mono_ms(clock_system()) + wait->timeout_ms;
    enum err err = ERR_NONE;
    while (err == ERR_NONE) {
        if (connect(*fd, (struct sockaddr *)&address, sizeof address) == 0) {
            return ERR_NONE;
        }
        if (errno == ENOENT || errno == ECONNREFUSED) {
            break;
        }
        err = errno == EAGAIN || errno == EINTR /* its queue is full */
                  ? wait_a_while(wait, until_ms, -1, 0, reason)
                  : reason_errno(reason, "cannot reach the server at its control socket");
    }
    close(*fd);
    *fd = -1;
    return err;
}

/* Reads up to the line break; *size: of what is in text. */
static enum err receive_line(int fd, const struct control_wait *wait, char *text, size_t room,
                             size_t *size, struct reason *reason)
{
    int64_t until_ms = clock_mono_ms(clock_system()) + wait->timeout_ms;
    *size = 0;
    while (*size == 0 || text[*size - 1] != '\n') {
        ssize_t got = *size < room ? recv(fd, text + *size, room - *size, 0) : 0;
        enum err err = ERR_NONE;
        if (got < 0 && errno == EAGAIN) {
            err = wait_a_while(wait, until_ms, fd, POLLIN, reason);
        } else if (got <= 0 && !(got < 0 && errno == EINTR)) {
            err = reason_fail(reason, ERR_IO,
                              "the server closed the control socket: it stopped, "
                              "or refused one connection more");
        }
        if (err != ERR_NONE) {
            return err;
        }
        *size += got > 0 ? (size_t)got : 0;
    }
    return ERR_NONE;
}

enum err control_client_ask(int fd, const char *line, const struct control_wait *wait,
                            json_t **answer, struct reason *reason)
{
    size_t size;
    /* One short line on a fresh connection: there is room for it. */
    if (send(fd, line, strlen(line), MSG_NOSIGNAL) != (ssize_t)strlen(line)) {
        return reason_errno(reason, "cannot write to the control socket");
    }
    char *text = mem_alloc(ANSWER_MAX_BYTES);
    enum err received = receive_line(fd, wait, text, ANSWER_MAX_BYTES, &size, reason);
    if (received != ERR_NONE) {
        free(text);
        return received;
    }
    *answer = json_loadb(text, size, 0, NULL);
    free(text);
    if (*answer == NULL) {
        return reason_fail(reason, ERR_INVALID, "the server's answer is no JSON");
    }
    if (!json_is_true(json_object_get(*answer, "ok"))) {
        const char *error = json_string_value(json_object_get(*answer, "error"));
        enum err err = reason_fail(reason, ERR_INVALID, "the server refused: %s",
                                   error != NULL ? error : "it did not say why");
        json_decref(*answer);
        return err;
    }
    return ERR_NONE;
}

enum err control_client_ask_once(const char *data_dir, const char *line,
                                 const struct control_wait *wait, json_t **answer,
                                 struct reason *reason)
{
    int dir_fd = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0) {
        return errno == ENOENT ? reason_fail(reason, ERR_NOT_FOUND, "there is no %s", data_dir)
                               : reason_errno(reason, "cannot open %s", data_dir);
    }
    int fd;
    enum err err = control_client_connect(dir_fd, wait, &fd, reason);
    close(dir_fd);
    if (err == ERR_NONE && fd < 0) {
        return reason_fail(reason, ERR_CLOSED, "no server runs on %s", data_dir);
    }
    if (err == ERR_NONE) {
        err = control_client_ask(fd, line, wait, answer, reason);
        close(fd);
    }
    return err;
}
