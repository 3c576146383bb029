#include "base/mem.h"
#include "crash.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { READY_MS = 60000, STOP_MS = 60000, MOST_ARGUMENTS = 64 };

static void run_child(const struct server_child *server, int out_fd, int log_fd)
{
    const char *arguments[MOST_ARGUMENTS];
    int count = 0;
    char *data = mem_sprintf("%s/data", server->dir);
    arguments[count++] = server->program;
    arguments[count++] = "serve";
    arguments[count++] = "--data";
    arguments[count++] = data;
    arguments[count++] = "--listen";
    arguments[count++] = "127.0.0.1:0";
    for (int i = 0; server->settings[i] != NULL; i++) {
        arguments[count++] = "--set";
        arguments[count++] = server->settings[i];
    }
    arguments[count] = NULL;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves no server behind */
    if (server->preload != NULL) {
        char *witness = mem_sprintf("%s/witness", server->dir);
        setenv("LD_PRELOAD", server->preload, 1);
        setenv("WITNESS_FILE", witness, 1);
        setenv("WITNESS_DIR", data, 1);
    }
    dup2(out_fd, STDOUT_FILENO);
    dup2(log_fd, STDERR_FILENO);
    execv(server->program, (char *const *)(uintptr_t)arguments);
    _exit(127);
}

void server_spawn(struct server_child *server)
{
    int out[2];
    char *log_path = mem_sprintf("%s/log", server->dir);
    int log_fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    free(log_path);
    if (log_fd < 0 || pipe2(out, O_CLOEXEC) != 0) {
        crash_fail("cannot prepare the server: %s", strerror(errno));
    }
    server->log_from = lseek(log_fd, 0, SEEK_END);
    server->pid = fork();
    if (server->pid < 0) {
        crash_fail("fork: %s", strerror(errno));
    }
    if (server->pid == 0) {
        run_child(server, out[1], log_fd);
    }
    close(out[1]);
    close(log_fd);
    server->out_fd = out[0];
}

void server_wait_ready(struct server_child *server)
{
    char line[1024] = "";
    size_t have = 0;
    while (strchr(line, '\n') == NULL) {
        struct pollfd poll_fd = {.fd = server->out_fd, .events = POLLIN};
        if (have + 1 == sizeof line || poll(&poll_fd, 1, READY_MS) <= 0) {
            crash_fail("the server was not ready in %d ms; it said: %s", READY_MS, line);
        }
        ssize_t got = read(server->out_fd, line + have, sizeof line - 1 - have);
        if (got <= 0) {
            crash_fail("the server ended instead of starting:\n%s", server_log(server));
        }
        have += (size_t)got;
        line[have] = '\0';
    }
    const char *at = strstr(line, "listen=127.0.0.1:");
    if (strncmp(line, "ready ", 6) != 0 || at == NULL) {
        crash_fail("no ready line: %s", line);
    }
    server->port = (uint16_t)atoi(at + strlen("listen=127.0.0.1:"));
}

static int reap(struct server_child *server)
{
    int status = 0;
    if (waitpid(server->pid, &status, 0) != server->pid) {
        crash_fail("waitpid: %s", strerror(errno));
    }
    server->pid = 0;
    close(server->out_fd);
    return status;
}

void server_kill(struct server_child *server)
{
    kill(server->pid, SIGKILL);
    int status = reap(server);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
        crash_fail("the server ended by itself (status 0x%x) before it was killed:\n%s", status,
                   server_log(server));
    }
    server->kills++;
}

void server_stop(struct server_child *server)
{
    kill(server->pid, SIGTERM);
    for (int waited_ms = 0;; waited_ms += 5) {
        siginfo_t info = {0};
        if (waitid(P_PID, (id_t)server->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
            info.si_pid != 0) {
            break;
        }
        if (waited_ms > STOP_MS) {
            crash_fail("the server did not end in %d ms after SIGTERM", STOP_MS);
        }
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    int status = reap(server);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        crash_fail("after SIGTERM the server ended with status 0x%x, not exit 0:\n%s", status,
                   server_log(server));
    }
}

char *server_log(const struct server_child *server)
{
    char *path = mem_sprintf("%s/log", server->dir);
    FILE *file = fopen(path, "r");
    free(path);
    if (file == NULL || fseek(file, server->log_from, SEEK_SET) != 0) {
        crash_fail("cannot read the server's log: %s", strerror(errno));
    }
    struct buf text = {0};
    size_t got;
    do {
        got = fread(buf_extend(&text, 4096), 1, 4096, file);
        text.size -= 4096 - got;
    } while (got > 0);
    fclose(file);
    return buf_cstr(&text);
}
