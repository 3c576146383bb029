/*
 * Preloaded into the server: a disk and a clock that fail as the campaign says. It steers by the
 * mapped file FAULTS_CONTROL (struct control, written by faults.py) while the server runs; only
 * files below FAULTS_DIR are touched, and of the clocks only the wall clock. What was done is
 * counted there.
 */
#undef _FILE_OFFSET_BITS /* it would make pwrite another name of pwrite64, which is here too */

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* Fields and order as in faults.py. Zero is "no fault" but where it says otherwise. */
struct control {
    _Atomic int64_t random;            /* the seed; moves on with each draw */
    _Atomic int64_t write_errors_left; /* so many writes fail with EIO, of those that are drawn */
    _Atomic int64_t write_error_ppm;   /* a write is drawn with this chance, in millionths */
    _Atomic int64_t short_write_ppm;   /* a write takes a part of its bytes only */
    _Atomic int64_t space_is_limited;  /* 1: space_left counts */
    _Atomic int64_t space_left;        /* bytes until ENOSPC */
    _Atomic int64_t sync_errors_left;  /* so many of the next syncs fail with EIO */
    _Atomic int64_t slow_us;           /* each write and each sync takes so much longer */
    _Atomic int64_t clock_ms;          /* added to the wall clock */
    _Atomic int64_t dir_syncs_wait;    /* 1: an fsync of a directory does not come back; 2: of one
                                          in which a compacted segment takes its place, and from
                                          then on no syncfs, which would do the same */
    _Atomic int64_t whole_syncs_wait;  /* 1: nor does a syncfs */
    /* what was done */
    _Atomic int64_t writes_failed;
    _Atomic int64_t writes_shortened;
    _Atomic int64_t writes_without_space;
    _Atomic int64_t syncs_failed;
    _Atomic int64_t calls_slowed;
    _Atomic int64_t calls;            /* writes and syncs below FAULTS_DIR while a fault was set */
    _Atomic int64_t log_syncs_failed; /* of syncs_failed, those of segment files */
    _Atomic int64_t syncs_waiting;    /* that did not come back, so far */
};

ssize_t write(int fd, const void *data, size_t size);
ssize_t pwrite(int fd, const void *data, size_t size, off_t at);
ssize_t pwrite64(int fd, const void *data, size_t size, off_t at);
ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t at);
ssize_t pwritev64(int fd, const struct iovec *iov, int count, off_t at);
int fsync(int fd);
int fdatasync(int fd);
int syncfs(int fd);
int clock_gettime(clockid_t id, struct timespec *now);

typedef ssize_t write_call(int fd, const void *data, size_t size);
typedef ssize_t pwrite_call(int fd, const void *data, size_t size, off_t at);
typedef ssize_t pwritev_call(int fd, const struct iovec *iov, int count, off_t at);
typedef int sync_call(int fd);
typedef int clock_call(clockid_t id, struct timespec *now);

/* A preloaded library has nobody to pass it things: what it needs is set once, before main. */
static struct {
    struct control *control;
    const char *dir;
    write_call *write;
    pwrite_call *pwrite;
    pwritev_call *pwritev;
    sync_call *fsync;
    sync_call *fdatasync;
    sync_call *syncfs;
    clock_call *clock_gettime;
} layer;

static void find_call(void *call, const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL) {
        abort();
    }
    memcpy(call, &found, sizeof found);
}

__attribute__((constructor)) static void prepare(void)
{
    find_call(&layer.write, "write");
    find_call(&layer.pwrite, "pwrite");
    find_call(&layer.pwritev, "pwritev");
    find_call(&layer.fsync, "fsync");
    find_call(&layer.fdatasync, "fdatasync");
    find_call(&layer.syncfs, "syncfs");
    find_call(&layer.clock_gettime, "clock_gettime");
    const char *path = getenv("FAULTS_CONTROL");
    layer.dir = getenv("FAULTS_DIR");
    int fd = path != NULL && layer.dir != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *mapped =
        fd < 0 ? MAP_FAILED
               : mmap(NULL, sizeof *layer.control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED) {
        fprintf(stderr, "faults.so: FAULTS_DIR and FAULTS_CONTROL must name a folder and a file\n");
        abort();
    }
    close(fd);
    layer.control = mapped;
}

static uint64_t draw(void)
{
    uint64_t z = (uint64_t)atomic_fetch_add(&layer.control->random, 0x1e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static bool drawn(int64_t ppm)
{
    return ppm > 0 && (int64_t)(draw() % 1000000) < ppm;
}

/* Takes one of what is left, if there is one. */
static bool take_one(_Atomic int64_t *left)
{
    int64_t count = atomic_load(left);
    while (count > 0 && !atomic_compare_exchange_weak(left, &count, count - 1)) {
    }
    return count > 0;
}

static bool any_fault(void)
{
    struct control *control = layer.control;
    return control != NULL &&
           (control->write_errors_left > 0 || control->short_write_ppm > 0 ||
            control->space_is_limited != 0 || control->sync_errors_left > 0 ||
            control->slow_us > 0 || control->dir_syncs_wait != 0 || control->whole_syncs_wait != 0);
}

/* Whether the file lies below the data directory; *path is its name. */
static bool find_ours(int fd, char path[PATH_MAX])
{
    char link[64];
    size_t dir_size = strlen(layer.dir);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, PATH_MAX - 1);
    path[size > 0 ? size : 0] = '\0';
    return size > 0 && (size_t)size >= dir_size && memcmp(path, layer.dir, dir_size) == 0 &&
           ((size_t)size == dir_size || path[dir_size] == '/');
}

static bool is_ours(int fd)
{
    char path[PATH_MAX];
    return find_ours(fd, path);
}

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text);
    size_t end_size = strlen(end);
    return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

static void slow_down(void)
{
    int64_t us = layer.control->slow_us;
    if (us > 0) {
        struct timespec time = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
        layer.control->calls_slowed++;
        nanosleep(&time, NULL);
    }
}

static int64_t take_space(int64_t size)
{
    int64_t left = atomic_load(&layer.control->space_left);
    int64_t part;
    do {
        part = left < size ? left : size;
    } while (!atomic_compare_exchange_weak(&layer.control->space_left, &left, left - part));
    return part;
}

/* How many of `size` bytes a write may take; -1: it fails with errno. */
static int64_t allowed_bytes(int fd, int64_t size)
{
    struct control *control = layer.control;
    if (!any_fault() || size == 0 || !is_ours(fd)) {
        return size;
    }
    control->calls++;
    slow_down();
    if (drawn(control->write_error_ppm) && take_one(&control->write_errors_left)) {
        control->writes_failed++;
        errno = EIO;
        return -1;
    }
    if (size > 1 && drawn(control->short_write_ppm)) {
        control->writes_shortened++;
        size = 1 + (int64_t)(draw() % (uint64_t)(size - 1));
    }
    if (control->space_is_limited != 0) {
        size = take_space(size);
        if (size == 0) {
            control->writes_without_space++;
            errno = ENOSPC;
            return -1;
        }
    }
    return size;
}

ssize_t write(int fd, const void *data, size_t size)
{
    int64_t part = allowed_bytes(fd, (int64_t)size);
    return part < 0 ? -1 : layer.write(fd, data, (size_t)part);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    int64_t part = allowed_bytes(fd, (int64_t)size);
    return part < 0 ? -1 : layer.pwrite(fd, data, (size_t)part, at);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t at)
{
    return pwrite(fd, data, size, at);
}

static int64_t total_of(const struct iovec *iov, int count)
{
    int64_t total = 0;
    for (int i = 0; i < count; i++) {
        total += (int64_t)iov[i].iov_len;
    }
    return total;
}

ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t at)
{
    int64_t total = total_of(iov, count);
    int64_t part = allowed_bytes(fd, total);
    if (part < 0 || part == total) {
        return part < 0 ? -1 : layer.pwritev(fd, iov, count, at);
    }
    struct iovec some[IOV_MAX];
    int used = 0;
    for (int64_t left = part; left > 0; used++) {
        some[used] = iov[used];
        if ((int64_t)some[used].iov_len > left) {
            some[used].iov_len = (size_t)left;
        }
        left -= (int64_t)some[used].iov_len;
    }
    return layer.pwritev(fd, some, used, at);
}

ssize_t pwritev64(int fd, const struct iovec *iov, int count, off_t at)
{
    return pwritev(fd, iov, count, at);
}

static bool is_dir(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
}

/* Whether compaction is between its steps there: a .swap file (docs/formats.md). */
static bool has_swap(const char *path)
{
    bool found = false;
    DIR *dir = opendir(path);
    struct dirent *entry;
    while (dir != NULL && !found && (entry = readdir(dir)) != NULL) {
        found = ends_with(entry->d_name, ".swap");
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return found;
}

/* As long as the campaign says; it kills the server meanwhile. */
static void wait_while(const _Atomic int64_t *wait)
{
    layer.control->syncs_waiting += *wait != 0;
    while (*wait != 0) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

/* A sync that fails promises nothing: nothing is synced. */
static int sync_by(sync_call *call, int fd)
{
    char path[PATH_MAX];
    if (any_fault() && find_ours(fd, path)) {
        layer.control->calls++;
        slow_down();
        if (call == layer.syncfs) {
            wait_while(&layer.control->whole_syncs_wait);
        } else if (is_dir(fd) && (layer.control->dir_syncs_wait != 2 || has_swap(path))) {
            if (layer.control->dir_syncs_wait == 2) {
                layer.control->whole_syncs_wait = 1;
            }
            wait_while(&layer.control->dir_syncs_wait);
        }
        if (take_one(&layer.control->sync_errors_left)) {
            /* After a failed syncfs each file is asked: that one decides. */
            layer.control->log_syncs_failed += ends_with(path, ".log");
            layer.control->syncs_failed++;
            errno = EIO;
            return -1;
        }
    }
    return call(fd);
}

int fsync(int fd)
{
    return sync_by(layer.fsync, fd);
}

int fdatasync(int fd)
{
    return sync_by(layer.fdatasync, fd);
}

int syncfs(int fd)
{
    return sync_by(layer.syncfs, fd);
}

int clock_gettime(clockid_t id, struct timespec *now)
{
    if (layer.clock_gettime == NULL) { /* before prepare() */
        find_call(&layer.clock_gettime, "clock_gettime");
    }
    int result = layer.clock_gettime(id, now);
    int64_t ms = layer.control != NULL ? layer.control->clock_ms : 0;
    if (result == 0 && id == CLOCK_REALTIME && ms != 0) {
        int64_t ns = now->tv_nsec + ms % 1000 * 1000000;
        now->tv_sec += ms / 1000 + (ns < 0 ? -1 : ns / 1000000000);
        now->tv_nsec = (ns + 1000000000) % 1000000000;
    }
    return result;
}
