#include "datadir/control_client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { ANSWER_MAX_BYTES = 4096 };

enum err control_client_connect(int dir_fd, int *fd, struct reason *reason)
{
    /* Through the directory's descriptor: a socket's path is short. */
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/control", dir_fd);
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*fd < 0) {
        return reason_errno(reason, "cannot make a socket");
    }
    if (connect(*fd, (struct sockaddr *)&address, sizeof address) == 0) {
        return ERR_NONE;
    }
    enum err err = errno == ENOENT || errno == ECONNREFUSED
                       ? ERR_NONE
                       : reason_errno(reason, "cannot reach the server at its control socket");
    close(*fd);
    *fd = -1;
    return err;
}

enum err control_client_ask(int fd, const char *line, json_t **answer, struct reason *reason)
{
    char text[ANSWER_MAX_BYTES];
    size_t size = 0;
    if (send(fd, line, strlen(line), MSG_NOSIGNAL) != (ssize_t)strlen(line)) {
        return reason_errno(reason, "cannot write to the control socket");
    }
    while (size == 0 || text[size - 1] != '\n') {
        ssize_t got = size < sizeof text ? recv(fd, text + size, sizeof text - size, 0) : 0;
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return reason_fail(reason, ERR_IO,
                               "the server closed the control socket: it stopped, "
                               "or refused one connection more");
        }
        size += (size_t)got;
    }
    *answer = json_loadb(text, size, 0, NULL);
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

enum err control_client_ask_once(const char *data_dir, const char *line, json_t **answer,
                                 struct reason *reason)
{
    int dir_fd = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0) {
        return errno == ENOENT ? reason_fail(reason, ERR_NOT_FOUND, "there is no %s", data_dir)
                               : reason_errno(reason, "cannot open %s", data_dir);
    }
    int fd;
    enum err err = control_client_connect(dir_fd, &fd, reason);
    close(dir_fd);
    if (err == ERR_NONE && fd < 0) {
        return reason_fail(reason, ERR_CLOSED, "no server runs on %s", data_dir);
    }
    if (err == ERR_NONE) {
        err = control_client_ask(fd, line, answer, reason);
        close(fd);
    }
    return err;
}
