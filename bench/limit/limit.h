#ifndef TIDINGS_BENCH_LIMIT_H
#define TIDINGS_BENCH_LIMIT_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The limit of this machine: what one thread can do with no protocol at all. A broker is measured
 * against it in the same run, so that its figures hold on a noisy or an unknown machine.
 *
 * Whose CPU time is it? The measured side is this process and nothing else in it runs; its peer is
 * another process; getrusage(RUSAGE_SELF) around the loop is the figure. On loopback the kernel
 * does the receiver's TCP work (softirq) inside the sender's send call and charges it there, while
 * the receiver pays for the copy to user space and for the acknowledgements that it sends. So
 * egress is dearer and ingest cheaper than with a network card. A broker on loopback is charged in
 * just the same way, which is what makes the ratio fair; compare the ratio across machines, not the
 * figure.
 */

struct limit_options {
    const char *directory; /* files are made here and removed */
    uint64_t bytes;        /* of one run */
    int64_t run_max_ms;    /* a run ends after this even if bytes are left */
    int repetitions;       /* every figure is the median of so many */
    bool warms_up;         /* a first run of the loads is not counted */
};

enum { LIMIT_REPETITIONS_MAX = 100 };

/* What one run did. */
struct limit_load {
    double bytes;
    double seconds;
    double cpu_seconds; /* user and system time of the measured side */
};

/* The files of one ingest run, which the egress run sends and then removes. */
struct limit_files {
    int fds[64];
    int count;
    uint64_t bytes;
};

/*
 * Ingest: receives from a loopback connection, takes the CRC-32C of every message and writes the
 * messages to a file in the directory, a new one every GiB. Complete messages are written together,
 * as they arrive, at most 1 MiB at once. With flush_bytes not 0 the file is flushed (fdatasync)
 * each time so many were written: what acks=all asks for. The files are already unlinked, so that
 * nothing stays behind whatever happens.
 */
CHECKED enum err limit_ingest(const struct limit_options *options, size_t message_bytes,
                              size_t flush_bytes, struct limit_files *files,
                              struct limit_load *load, struct reason *reason);

/* Egress: sendfile of those files, message_bytes a call, from the page cache over loopback. */
CHECKED enum err limit_egress(const struct limit_options *options, size_t message_bytes,
                              const struct limit_files *files, struct limit_load *load,
                              struct reason *reason);
void limit_files_deinit(struct limit_files *files);

struct limit_flush {
    double p50_us;
    double p99_us;
    double max_us;
    double count; /* of flushes measured */
};

/* Appends 1 KiB and calls fdatasync, again and again for a second or 1,000 times. */
CHECKED enum err limit_flush(const struct limit_options *options, struct limit_flush *flush,
                             struct reason *reason);

/* A file in the directory that is already unlinked. */
CHECKED enum err limit_file_open(const char *directory, int *fd, struct reason *reason);

/* The middle of count figures (the mean of two in the middle); sorts them. */
double limit_median(double *figures, int count);

#endif
