/*
 * LD_PRELOAD: each sync takes as long as one of a good disk, whatever this machine's disk is doing
 * for others. For data in memory, where syncs do nothing by themselves.
 */
#include <sys/prctl.h>
#include <time.h>

int fdatasync(int fd);
int fsync(int fd);
int syncfs(int fd);

enum { FILE_NS = 180000, ALL_NS = 300000 }; /* one file, a file system */

static int take(long ns)
{
    static _Thread_local int is_exact;
    struct timespec time = {.tv_nsec = ns};
    if (!is_exact) {
        prctl(PR_SET_TIMERSLACK, 1);
        is_exact = 1;
    }
    nanosleep(&time, NULL);
    return 0;
}

int fdatasync(int fd)
{
    (void)fd;
    return take(FILE_NS);
}

int fsync(int fd)
{
    (void)fd;
    return take(FILE_NS);
}

int syncfs(int fd)
{
    (void)fd;
    return take(ALL_NS);
}
