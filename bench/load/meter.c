#include "load.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

void load_times_add(struct load_times *times, int64_t ns)
{
    if (times->count == times->capacity) {
        times->capacity = times->capacity > 0 ? times->capacity * 2 : 1024;
        times->ns = mem_realloc(times->ns, times->capacity * sizeof times->ns[0]);
    }
    times->ns[times->count++] = ns;
}

void load_times_append(struct load_times *times, const struct load_times *more)
{
    for (size_t i = 0; i < more->count; i++) {
        load_times_add(times, more->ns[i]);
    }
}

void load_times_deinit(struct load_times *times)
{
    free(times->ns);
    *times = (struct load_times){0};
}

static int compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static double at_us(const struct load_times *times, double part)
{
    size_t index = (size_t)((double)times->count * part);
    return (double)times->ns[index < times->count ? index : times->count - 1] / 1e3;
}

json_t *load_times_json(struct load_times *times)
{
    if (times->count == 0) {
        return NULL;
    }
    qsort(times->ns, times->count, sizeof times->ns[0], compare);
    return json_pack("{s:f,s:f,s:f,s:f,s:f,s:I}", "p50", at_us(times, 0.5), "p90",
                     at_us(times, 0.9), "p99", at_us(times, 0.99), "p999", at_us(times, 0.999),
                     "max", at_us(times, 1), "count", (json_int_t)times->count);
}

/* The process clock: nanoseconds of all threads, where /proc/PID/stat counts in ticks. */
static enum err process_cpu_seconds(pid_t pid, double *seconds, struct reason *reason)
{
    clockid_t clock;
    struct timespec time;
    int failed = clock_getcpuclockid(pid, &clock);
    if (failed != 0 || clock_gettime(clock, &time) != 0) {
        errno = failed != 0 ? failed : errno;
        return reason_errno(reason, "cannot read the CPU time of process %d", (int)pid);
    }
    *seconds = (double)time.tv_sec + (double)time.tv_nsec / 1e9;
    return ERR_NONE;
}

static enum err process_memory(pid_t pid, struct load_meter *meter, struct reason *reason)
{
    char path[64];
    char line[256];
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return reason_errno(reason, "cannot open %s", path);
    }
    while (fgets(line, sizeof line, file) != NULL) {
        long long kib;
        if (sscanf(line, "Rss: %lld kB", &kib) == 1) {
            meter->rss_bytes = kib * 1024;
        } else if (sscanf(line, "Pss: %lld kB", &kib) == 1) {
            meter->pss_bytes = kib * 1024;
        }
    }
    fclose(file);
    return ERR_NONE;
}

enum err load_meter_read(pid_t server_pid, struct load_meter *meter, struct reason *reason)
{
    struct rusage usage;
    enum err err = ERR_NONE;
    *meter = (struct load_meter){.now_ns = clock_now_ns()};
    getrusage(RUSAGE_SELF, &usage);
    meter->client_cpu_seconds =
        (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6 +
        (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6;
    if (server_pid > 0) {
        err = process_cpu_seconds(server_pid, &meter->cpu_seconds, reason);
        if (err == ERR_NONE) {
            err = process_memory(server_pid, meter, reason);
        }
    }
    return err;
}

void load_meter_json(json_t *result, const struct load_meter *before,
                     const struct load_meter *after, pid_t server_pid, uint64_t bytes,
                     uint64_t events)
{
    double seconds = (double)(after->now_ns - before->now_ns) / 1e9;
    double cpu = after->cpu_seconds - before->cpu_seconds;
    double client_cpu = after->client_cpu_seconds - before->client_cpu_seconds;
    json_object_set_new(result, "seconds", json_real(seconds));
    json_object_set_new(result, "bytes", json_integer((json_int_t)bytes));
    json_object_set_new(result, "events", json_integer((json_int_t)events));
    json_object_set_new(result, "client_cpu_seconds", json_real(client_cpu));
    if (bytes > 0) {
        json_object_set_new(result, "bytes_per_second", json_real((double)bytes / seconds));
    }
    if (events > 0) {
        json_object_set_new(result, "events_per_second", json_real((double)events / seconds));
    }
    if (server_pid <= 0) {
        return;
    }
    json_t *server = json_pack(
        "{s:f,s:I,s:I,s:I}", "cpu_seconds", cpu, "rss_bytes_before", (json_int_t)before->rss_bytes,
        "rss_bytes", (json_int_t)after->rss_bytes, "pss_bytes", (json_int_t)after->pss_bytes);
    if (bytes > 0) {
        json_object_set_new(server, "cpu_seconds_per_gb", json_real(cpu / (double)bytes * 1e9));
    }
    if (events > 0) {
        json_object_set_new(server, "cpu_seconds_per_million_events",
                            json_real(cpu / (double)events * 1e6));
    }
    json_object_set_new(result, "server", server);
}
