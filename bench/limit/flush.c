#include "limit.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FLUSH_MAX_COUNT = 1000, FLUSH_BYTES = 1024 };
static const int64_t flush_max_ns = 1000000000;

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

double limit_median(double *figures, int count)
{
    qsort(figures, (size_t)count, sizeof figures[0], compare);
    return (figures[(count - 1) / 2] + figures[count / 2]) / 2;
}

enum err limit_flush(const struct limit_options *options, struct limit_flush *flush,
                     struct reason *reason)
{
    static const uint8_t record[FLUSH_BYTES] = {1};
    double took_us[FLUSH_MAX_COUNT];
    int count = 0;
    int fd;
    enum err err = limit_file_open(options->directory, &fd, reason);
    if (err != ERR_NONE) {
        return err;
    }
    int64_t begin_ns = clock_now_ns();
    int64_t now_ns = begin_ns;
    while (count < FLUSH_MAX_COUNT && now_ns - begin_ns < flush_max_ns) {
        int64_t start_ns = now_ns;
        if (pwrite(fd, record, sizeof record, (off_t)count * FLUSH_BYTES) !=
                (ssize_t)sizeof record ||
            fdatasync(fd) != 0) {
            err = reason_errno(reason, "cannot write and flush in %s", options->directory);
            break;
        }
        now_ns = clock_now_ns();
        took_us[count++] = (double)(now_ns - start_ns) / 1e3;
    }
    close(fd);
    if (err == ERR_NONE) {
        qsort(took_us, (size_t)count, sizeof took_us[0], compare);
        *flush = (struct limit_flush){
            .p50_us = took_us[count / 2],
            .p99_us = took_us[count * 99 / 100],
            .max_us = took_us[count - 1],
            .count = count,
        };
    }
    return err;
}
