#include "cli/base/terminal.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char enter_text[] = "\033[?1049h\033[?25l\033[H\033[2J";
static const char leave_text[] = "\033[0m\033[?25h\033[?1049l";

/* For the handler alone, which gets no parameter. */
static struct termios handler_before;

static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGABRT};

static void put(const char *text, size_t size)
{
    while (size > 0) {
        ssize_t done = write(STDOUT_FILENO, text, size);
        if (done <= 0) {
            return;
        }
        text += done;
        size -= (size_t)done;
    }
}

/* The handler is gone by now (SA_RESETHAND), so the signal ends the process when this returns. */
static void on_fatal(int signal_number)
{
    put(leave_text, sizeof leave_text - 1);
    tcsetattr(STDIN_FILENO, TCSANOW, &handler_before);
    raise(signal_number);
}

static void set_handlers(void (*handler)(int))
{
    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++) {
        struct sigaction action = {.sa_handler = handler, .sa_flags = (int)SA_RESETHAND};
        sigemptyset(&action.sa_mask);
        sigaction(fatal[i], &action, NULL);
    }
}

bool terminal_enter(struct terminal *terminal)
{
    if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &terminal->before) != 0) {
        return false;
    }
    struct termios own = terminal->before;
    own.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    own.c_iflag &= ~(tcflag_t)(IXON);
    own.c_oflag |= (tcflag_t)(OPOST | ONLCR);
    own.c_cc[VMIN] = 0;
    own.c_cc[VTIME] = 0;
    handler_before = terminal->before;
    set_handlers(on_fatal);
    if (tcsetattr(STDIN_FILENO, TCSANOW, &own) != 0) {
        set_handlers(SIG_DFL);
        return false;
    }
    put(enter_text, sizeof enter_text - 1);
    terminal->is_entered = true;
    return true;
}

void terminal_leave(struct terminal *terminal)
{
    if (terminal->is_entered) {
        terminal->is_entered = false;
        put(leave_text, sizeof leave_text - 1);
        tcsetattr(STDIN_FILENO, TCSANOW, &terminal->before);
        set_handlers(SIG_DFL);
    }
}

void terminal_size(int *rows, int *columns)
{
    struct winsize size;
    bool is_known =
        ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0;
    *rows = is_known ? size.ws_row : 24;
    *columns = is_known ? size.ws_col : 80;
}
