/*
 * Preloaded into the server: kills it before its nth write to a log or sync of one, counted from
 * when the file KILL_ARMED exists. KILL_AT is n. With KILL_AT=0 nothing is killed.
 */
#include <dlfcn.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/* Both names: which one the server calls depends on how it was compiled. */
ssize_t gate_write(int fd, const struct iovec *iov, int count, off_t offset) __asm__("pwritev");
ssize_t gate_write_64(int fd, const struct iovec *iov, int count,
                      off_t offset) __asm__("pwritev64");
int fdatasync(int fd);
int syncfs(int fd);

typedef ssize_t write_call(int fd, const struct iovec *iov, int count, off_t offset);
typedef int sync_call(int fd);

static atomic_long calls;

static void step(void)
{
    const char *armed = getenv("KILL_ARMED");
    const char *at = getenv("KILL_AT");
    if (armed == NULL || at == NULL || access(armed, F_OK) != 0) {
        return;
    }
    if (atomic_fetch_add(&calls, 1) + 1 == atol(at)) {
        kill(getpid(), SIGKILL);
        pause(); /* not one step more */
    }
}

static ssize_t write_after_step(int fd, const struct iovec *iov, int count, off_t offset)
{
    write_call *call;
    void *found = dlsym(RTLD_NEXT, "pwritev64");
    memcpy(&call, &found, sizeof call);
    step();
    return call(fd, iov, count, offset);
}

ssize_t gate_write(int fd, const struct iovec *iov, int count, off_t offset)
{
    return write_after_step(fd, iov, count, offset);
}

ssize_t gate_write_64(int fd, const struct iovec *iov, int count, off_t offset)
{
    return write_after_step(fd, iov, count, offset);
}

static int sync_after_step(int fd, const char *name)
{
    sync_call *call;
    void *found = dlsym(RTLD_NEXT, name);
    memcpy(&call, &found, sizeof call);
    step();
    return call(fd);
}

int fdatasync(int fd)
{
    return sync_after_step(fd, "fdatasync");
}

int syncfs(int fd)
{
    return sync_after_step(fd, "syncfs");
}
