#include "bus_server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what)
{
    perror(what);
    abort();
}

static void run_server(const char *data, int ready_fd)
{
    char fd_text[16];
    const char *program = getenv("TIDINGS_BIN");
    snprintf(fd_text, sizeof fd_text, "%d", ready_fd);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (freopen("/dev/null", "w", stdout) == NULL ||
        (getenv("TEST_LOG") == NULL && freopen("/dev/null", "w", stderr) == NULL)) {
        fail("/dev/null");
    }
    execl(program, program, "serve", "--data", data, "--listen", "127.0.0.1:0", "--ready-fd",
          fd_text, (char *)NULL);
    fail(program);
}

void bus_server_start(struct bus_server *server)
{
    char directory[] = "/tmp/tidings-client-test-XXXXXX";
    int ready[2];
    char line[512];
    if (getenv("TIDINGS_BIN") == NULL) {
        fprintf(stderr, "TIDINGS_BIN names no server\n");
        abort();
    }
    if (mkdtemp(directory) == NULL || pipe(ready) != 0) {
        fail("a place for the server");
    }
    server->data = strdup(directory);
    server->pid = fork();
    if (server->pid < 0) {
        fail("fork");
    }
    if (server->pid == 0) {
        close(ready[0]);
        run_server(directory, ready[1]);
    }
    close(ready[1]);
    FILE *from = fdopen(ready[0], "r");
    char *found = fgets(line, sizeof line, from) != NULL ? strstr(line, "listen=") : NULL;
    if (found == NULL) {
        fail("no ready line");
    }
    found += strlen("listen=");
    found[strcspn(found, " \n")] = '\0';
    server->address = strdup(found);
    fclose(from);
}

void bus_server_stop(struct bus_server *server)
{
    int status;
    char command[256];
    kill(server->pid, SIGTERM);
    if (waitpid(server->pid, &status, 0) != server->pid || status != 0) {
        fail("the server did not end well");
    }
    snprintf(command, sizeof command, "rm -rf '%s'", server->data);
    if (system(command) != 0) {
        fail(command);
    }
    free(server->data);
    free(server->address);
}
