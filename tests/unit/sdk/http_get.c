#include "http_get.h"

#include "../unit.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int shown_port(struct seen *lines)
{
    static const char part[] = "http://127.0.0.1:";
    seen_wait_part(lines, part);
    for (int i = 0; i < lines->count; i++) {
        const char *found = strstr(lines->texts[i], part);
        if (found != NULL) {
            return atoi(found + strlen(part));
        }
    }
    fail_msg("no port");
    return 0;
}

int http_ask(int port, const char *method, const char *path, char **body)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    char request[300], *answer = calloc(1, 1);
    size_t size = 0;
    ssize_t got;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    int length = snprintf(request, sizeof request,
                          "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                          "Content-Length: 0\r\n\r\n",
                          method, path);
    assert_int_equal(write(fd, request, (size_t)length), length);
    do {
        answer = realloc(answer, size + 65536);
        got = read(fd, answer + size, 65535);
        size += got > 0 ? (size_t)got : 0;
    } while (got > 0);
    answer[size] = '\0';
    close(fd);
    const char *text = strstr(answer, "\r\n\r\n");
    assert_non_null(text);
    int status = atoi(answer + strlen("HTTP/1.1 "));
    *body = strdup(text + 4);
    free(answer);
    return status;
}

static void a_moment(void)
{
    const struct timespec moment = {.tv_nsec = 20000000};
    nanosleep(&moment, NULL);
}

void http_wait(int port, const char *path, int status, const char *part)
{
    for (;;) {
        char *body;
        bool is_it = http_ask(port, "GET", path, &body) == status && strstr(body, part) != NULL;
        free(body);
        if (is_it) {
            return;
        }
        a_moment();
    }
}

double metric(int port, const char *line)
{
    char *body;
    size_t size = strlen(line);
    double value = -1;
    assert_int_equal(http_ask(port, "GET", "/metrics", &body), 200);
    for (const char *at = strstr(body, line); at != NULL; at = strstr(at + 1, line)) {
        if ((at == body || at[-1] == '\n') && at[size] == ' ') {
            value = atof(at + size);
        }
    }
    free(body);
    return value;
}

void metric_wait(int port, const char *line, double value)
{
    while (metric(port, line) != value) {
        a_moment();
    }
}
