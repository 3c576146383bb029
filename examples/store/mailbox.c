/*
 * store-mailbox: a mail server for trying things out. It takes mail by SMTP (RFC 5321) and keeps
 * each message as one file: DIR/new/<Message-ID>.eml. A message whose Message-ID is there already
 * goes to DIR/duplicates/, so that the first stays the only one and the repetition is seen.
 */
#include "store.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LINE_MAX_BYTES = 4096,
    MESSAGE_MAX_BYTES = 4 * 1024 * 1024,
    IDLE_SECONDS = 60,
    ID_MAX = 232 /* with what stands around it that is a file's name */
};

struct mailbox {
    const char *directory;
    atomic_long next_file;
};

struct session {
    struct mailbox *mailbox;
    FILE *in;
    FILE *out;
    bool has_sender;
    bool has_recipient;
};

static bool directories_make(const char *directory)
{
    static const char *const parts[] = {"", "/tmp", "/new", "/duplicates"};
    char path[4096];
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        snprintf(path, sizeof path, "%s%s", directory, parts[i]);
        if (mkdir(path, 0700) != 0 && errno != EEXIST) {
            store_complain("%s: %s", path, strerror(errno));
            return false;
        }
    }
    return true;
}

/* Reads a line without its end. False at the end of the connection or when it is too long. */
static bool line_read(FILE *in, char line[LINE_MAX_BYTES])
{
    if (fgets(line, LINE_MAX_BYTES, in) == NULL) {
        return false;
    }
    size_t size = strlen(line);
    if (size == 0 || line[size - 1] != '\n') {
        return false;
    }
    line[--size] = '\0';
    if (size > 0 && line[size - 1] == '\r') {
        line[size - 1] = '\0';
    }
    return true;
}

static void reply(struct session *session, const char *text)
{
    fprintf(session->out, "%s\r\n", text);
    fflush(session->out);
}

/* The Message-ID of a header line as a file name; what is not plain there becomes '_'. */
static void id_take(const char *line, char id[ID_MAX])
{
    if (strncasecmp(line, "Message-ID:", 11) != 0) {
        return;
    }
    line += 11;
    line += strspn(line, " \t<");
    size_t used = 0;
    for (; *line != '\0' && *line != '>' && used + 1 < ID_MAX; line++) {
        bool plain = strchr("/ \t", *line) == NULL && (used > 0 || *line != '.');
        id[used++] = plain ? *line : '_';
    }
    id[used] = '\0';
}

/* Takes the message's lines up to the lone dot. 0: taken; else the SMTP code to answer with. */
static int message_take(struct session *session, FILE *file, char id[ID_MAX])
{
    char line[LINE_MAX_BYTES];
    size_t size = 0;
    bool in_header = true;
    while (line_read(session->in, line)) {
        if (strcmp(line, ".") == 0) {
            return size <= MESSAGE_MAX_BYTES ? 0 : 552;
        }
        const char *text = line[0] == '.' ? line + 1 : line;
        if (in_header) {
            in_header = text[0] != '\0';
            id_take(text, id);
        }
        size += strlen(text) + 1;
        if (size <= MESSAGE_MAX_BYTES) {
            fprintf(file, "%s\n", text);
        }
    }
    return 451;
}

/* Gives the finished file its name; the link makes sure that there is one of each. */
static bool message_keep(struct mailbox *mailbox, const char *from, const char *id, long number)
{
    char to[4096];
    snprintf(to, sizeof to, "%s/new/%s.eml", mailbox->directory, id);
    bool ok = link(from, to) == 0;
    if (!ok && errno == EEXIST) {
        snprintf(to, sizeof to, "%s/duplicates/%s.%ld.%ld.eml", mailbox->directory, id,
                 (long)getpid(), number);
        ok = link(from, to) == 0;
    }
    if (!ok) {
        store_complain("%s: %s", to, strerror(errno));
    }
    return ok;
}

static int message_store(struct session *session)
{
    struct mailbox *mailbox = session->mailbox;
    long number = atomic_fetch_add(&mailbox->next_file, 1);
    char path[4096], id[ID_MAX];
    snprintf(path, sizeof path, "%s/tmp/%ld.%ld", mailbox->directory, (long)getpid(), number);
    snprintf(id, sizeof id, "no-id.%ld.%ld", (long)getpid(), number);
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        store_complain("%s: %s", path, strerror(errno));
        return 451;
    }
    reply(session, "354 End with a dot on a line of its own");
    int code = message_take(session, file, id);
    bool written = fflush(file) == 0 && fsync(fileno(file)) == 0;
    fclose(file);
    if (code == 0 && !(written && message_keep(mailbox, path, id, number))) {
        code = 451;
    }
    unlink(path);
    return code;
}

static void on_data(struct session *session)
{
    if (!session->has_sender || !session->has_recipient) {
        reply(session, "503 MAIL and RCPT come first");
        return;
    }
    int code = message_store(session);
    session->has_sender = session->has_recipient = false;
    reply(session, code == 0     ? "250 Kept"
                   : code == 552 ? "552 The message is too large"
                                 : "451 The message could not be kept");
}

/* Answers one command; false when the session is over. */
static bool on_command(struct session *session, const char *line)
{
    if (strncasecmp(line, "EHLO", 4) == 0 || strncasecmp(line, "HELO", 4) == 0) {
        session->has_sender = session->has_recipient = false;
        reply(session, "250 store-mailbox");
    } else if (strncasecmp(line, "MAIL FROM:", 10) == 0) {
        session->has_sender = true;
        session->has_recipient = false;
        reply(session, "250 Go on");
    } else if (strncasecmp(line, "RCPT TO:", 8) == 0) {
        session->has_recipient = session->has_sender;
        reply(session, session->has_sender ? "250 Go on" : "503 MAIL comes first");
    } else if (strcasecmp(line, "DATA") == 0) {
        on_data(session);
    } else if (strcasecmp(line, "RSET") == 0) {
        session->has_sender = session->has_recipient = false;
        reply(session, "250 Forgotten");
    } else if (strncasecmp(line, "NOOP", 4) == 0) {
        reply(session, "250 Nothing done");
    } else if (strcasecmp(line, "QUIT") == 0) {
        reply(session, "221 Goodbye");
        return false;
    } else {
        reply(session, "500 Not understood");
    }
    return !ferror(session->out);
}

static void *session_main(void *argument)
{
    struct session *session = argument;
    char line[LINE_MAX_BYTES];
    reply(session, "220 store-mailbox at your service");
    while (line_read(session->in, line) && on_command(session, line)) {
    }
    fclose(session->in);
    fclose(session->out);
    free(session);
    return NULL;
}

static void session_start(struct mailbox *mailbox, int connection)
{
    struct timeval idle = {.tv_sec = IDLE_SECONDS};
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &idle, sizeof idle);
    setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &idle, sizeof idle);
    struct session *session = calloc(1, sizeof *session);
    int copy = dup(connection);
    FILE *in = fdopen(connection, "r"), *out = copy >= 0 ? fdopen(copy, "w") : NULL;
    pthread_t thread;
    if (session != NULL && in != NULL && out != NULL) {
        *session = (struct session){.mailbox = mailbox, .in = in, .out = out};
        if (pthread_create(&thread, NULL, session_main, session) == 0) {
            pthread_detach(thread);
            return;
        }
    }
    store_complain("a connection could not be served: %s", strerror(errno));
    if (in != NULL) {
        fclose(in);
    }
    if (out != NULL) {
        fclose(out);
    }
    free(session);
}

static int listen_at(const char *port_text, uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)store_number("port", port_text, 0, 65535));
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int yes = 1;
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 64) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
        store_complain("cannot listen at 127.0.0.1:%s: %s", port_text, strerror(errno));
        return -1;
    }
    *port = ntohs(address.sin_port);
    return listener;
}

static void on_stop(int signal)
{
    _exit(EXIT_SUCCESS); /* what was answered with 250 is on disk */
}

int main(int argc, char **argv)
{
    struct mailbox mailbox = {.directory = "mailbox"};
    const char *port_text = "2525";
    const struct store_option options[] = {
        {"dir", "DIR", "the mailbox [mailbox]", &mailbox.directory},
        {"port", "PORT", "where it listens, on 127.0.0.1; 0 picks one [2525]", &port_text},
        {0},
    };
    store_options(argc, argv,
                  "A mail server for trying things out: keeps each message as a file in DIR/new,\n"
                  "and those whose Message-ID came before in DIR/duplicates. It sends nothing on.",
                  options);
    signal(SIGPIPE, SIG_IGN);
    struct sigaction stop = {.sa_handler = on_stop};
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
    uint16_t port;
    int listener = directories_make(mailbox.directory) ? listen_at(port_text, &port) : -1;
    if (listener < 0) {
        return EXIT_FAILURE;
    }
    printf("ready smtp=127.0.0.1:%u mailbox=%s\n", port, mailbox.directory);
    fflush(stdout);
    while (true) {
        int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (connection >= 0) {
            session_start(&mailbox, connection);
        } else if (errno != EINTR && errno != ECONNABORTED) {
            store_complain("accept: %s", strerror(errno));
            return EXIT_FAILURE;
        }
    }
}
