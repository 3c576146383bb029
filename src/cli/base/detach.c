#include "cli/base/detach.h"

#include "cli/base/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void redirect(int fd, const char *path, int flags)
{
    int file = open(path, flags | O_CLOEXEC);
    if (file >= 0) {
        (void)dup2(file, fd);
        close(file);
    }
}

/* Passes on what the process prints, up to its last word. Returns whether it said anything. */
static bool pass_on(int from)
{
    char bytes[1024];
    bool any = false;
    for (;;) {
        ssize_t got = read(from, bytes, sizeof bytes);
        if (got > 0) {
            any = true;
            fwrite(bytes, 1, (size_t)got, stdout);
        } else if (got == 0 || errno != EINTR) {
            fflush(stdout);
            return any;
        }
    }
}

/* The exit code of a process that ended without being ready: it said why. */
static int code_of(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFSIGNALED(status)) {
        return cli_fail(EXIT_FAILED, NULL, "the process in the background was ended by signal %d",
                        WTERMSIG(status));
    }
    return WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : EXIT_FAILED;
}

bool detach(int *code)
{
    int ends[2];
    fflush(NULL);
    if (pipe2(ends, O_CLOEXEC) != 0) {
        *code = cli_fail(EXIT_FAILED, NULL, "cannot go to the background: %s", strerror(errno));
        return false;
    }
    pid_t pid = fork();
    if (pid == 0) {
        (void)setsid();
        (void)dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        redirect(STDIN_FILENO, "/dev/null", O_RDONLY);
        return true;
    }
    close(ends[1]);
    *code = pid < 0
                ? cli_fail(EXIT_FAILED, NULL, "cannot go to the background: %s", strerror(errno))
            : pass_on(ends[0]) ? EXIT_OK
                               : code_of(pid);
    close(ends[0]);
    return false;
}

void detach_ready(void)
{
    fflush(stdout);
    redirect(STDOUT_FILENO, "/dev/null", O_WRONLY);
}
