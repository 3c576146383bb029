#include "cli/security/password.h"

#include "cli/base/cli.h"
#include "cli/base/output_text.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum line_end { LINE_WHOLE, LINE_TOO_LONG, LINE_STOPPED, LINE_UNREADABLE };

/* Of a terminal that gives letter by letter: Ctrl-C and Ctrl-D stop, Backspace takes one back. */
static bool is_edit(unsigned char letter, struct password *password, enum line_end *end)
{
    enum { CTRL_C = 3, CTRL_D = 4, BACKSPACE = 8, DELETE = 127 };
    if (letter == CTRL_C || letter == CTRL_D) {
        *end = LINE_STOPPED;
        return true;
    }
    if (letter != BACKSPACE && letter != DELETE) {
        return false;
    }
    while (password->size > 0 && (password->text[--password->size] & 0xc0) == 0x80) {
        /* the rest of a letter of UTF-8 */
    }
    *end = LINE_WHOLE;
    return true;
}

static enum line_end read_line(int fd, bool is_typed, struct password *password)
{
    password->size = 0;
    for (;;) {
        unsigned char letter;
        enum line_end end;
        ssize_t got = read(fd, &letter, 1);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return LINE_UNREADABLE;
        }
        if (got == 0 || letter == '\n' || (is_typed && letter == '\r')) {
            break;
        }
        if (is_typed && is_edit(letter, password, &end)) {
            if (end == LINE_STOPPED) {
                return end;
            }
            continue;
        }
        if (password->size == SCRAM_PASSWORD_MOST_BYTES) {
            return LINE_TOO_LONG;
        }
        password->text[password->size++] = (char)letter;
    }
    if (!is_typed && password->size > 0 && password->text[password->size - 1] == '\r') {
        password->size--;
    }
    password->text[password->size] = '\0';
    return LINE_WHOLE;
}

static int judge(enum line_end end, const struct password *password, const char *from)
{
    switch (end) {
    case LINE_TOO_LONG:
        return cli_fail(EXIT_USAGE, NULL, "the password from %s is longer than %d bytes", from,
                        SCRAM_PASSWORD_MOST_BYTES);
    case LINE_STOPPED:
        return cli_fail(EXIT_FAILED, NULL, "stopped: nothing was changed");
    case LINE_UNREADABLE:
        return cli_fail(EXIT_FAILED, NULL, "cannot read the password from %s: %s", from,
                        strerror(errno));
    case LINE_WHOLE:
        break;
    }
    if (memchr(password->text, '\0', password->size) != NULL) {
        return cli_fail(EXIT_USAGE, NULL, "the password from %s has a NUL in it", from);
    }
    return password->size > 0 ? EXIT_OK
                              : cli_fail(EXIT_USAGE, NULL, "the password from %s is empty", from);
}

static enum line_end type_line(const char *prompt, const char *user, struct password *password)
{
    struct termios before, own;
    if (tcgetattr(STDIN_FILENO, &before) != 0) {
        return LINE_UNREADABLE;
    }
    own = before;
    own.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
    own.c_cc[VMIN] = 1;
    own.c_cc[VTIME] = 0;
    if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &own) != 0) {
        return LINE_UNREADABLE;
    }
    output_text(stderr, "%s of %s: ", prompt, user); /* what was typed before is gone */
    enum line_end end = read_line(STDIN_FILENO, true, password);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    fputc('\n', stderr);
    return end;
}

static int type_twice(const char *user, struct password *password)
{
    struct password again;
    int code = judge(type_line("New password", user, password), password, "the terminal");
    if (code != EXIT_OK) {
        return code;
    }
    enum line_end end = type_line("Once more, password", user, &again);
    bool same = end == LINE_WHOLE && again.size == password->size &&
                CRYPTO_memcmp(again.text, password->text, again.size) == 0;
    password_wipe(&again);
    return end == LINE_STOPPED ? cli_fail(EXIT_FAILED, NULL, "stopped: nothing was changed")
           : same              ? EXIT_OK
                  : cli_fail(EXIT_USAGE, NULL, "these two are not the same: nothing was changed");
}

static int read_file(const char *file, struct password *password)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return cli_fail(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_FAILED, NULL, "cannot open %s: %s",
                        file, strerror(errno));
    }
    int code = judge(read_line(fd, false, password), password, file);
    close(fd);
    return code;
}

int password_read(const char *file, const char *user, struct password *password)
{
    *password = (struct password){.size = 0};
    if (file != NULL && strcmp(file, "-") != 0) {
        return read_file(file, password);
    }
    if (file == NULL && isatty(STDIN_FILENO)) {
        return type_twice(user, password);
    }
    return judge(read_line(STDIN_FILENO, false, password), password, "standard input");
}

void password_wipe(struct password *password)
{
    OPENSSL_cleanse(password, sizeof *password);
}
