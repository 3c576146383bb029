#include "cli/base/progress.h"

#include "base/clock.h"
#include "cli/base/output.h"
#include "cli/base/output_text.h"

#include <stdio.h>
#include <unistd.h>

enum { NS_PER_S = 1000000000, TERMINAL_NS = 250000000 };

void progress_init(struct progress *progress)
{
    int64_t now_ns = clock_now_ns();
    *progress = (struct progress){
        .is_terminal = isatty(STDERR_FILENO) != 0, .began_ns = now_ns, .told_ns = now_ns};
}

/* False: not yet. Else *seconds since it began. */
static bool is_due(struct progress *progress, double *seconds)
{
    int64_t now_ns = clock_now_ns();
    int64_t interval_ns = progress->is_terminal ? TERMINAL_NS : INT64_C(10) * NS_PER_S;
    if (now_ns - progress->told_ns < interval_ns) {
        return false;
    }
    progress->told_ns = now_ns;
    *seconds = (double)(now_ns - progress->began_ns) / NS_PER_S;
    progress_clear(progress);
    return true;
}

static void end_line(struct progress *progress)
{
    fputs(progress->is_terminal ? "" : "\n", stderr);
    progress->is_shown = progress->is_terminal;
}

static int percent(int64_t done, int64_t total)
{
    return total > 0 ? (int)(100 * (double)done / (double)total) : 100;
}

void progress_show(struct progress *progress, const char *verb, int64_t bytes, int64_t total_bytes)
{
    double seconds;
    char done[32];
    char all[32];
    char rate[32];
    if (is_due(progress, &seconds)) {
        output_text(stderr, "%s %s of %s (%d%%), %s/s", verb, output_size((double)bytes, done),
                    output_size((double)total_bytes, all), percent(bytes, total_bytes),
                    output_size((double)bytes / seconds, rate));
        end_line(progress);
    }
}

void progress_show_count(struct progress *progress, const char *verb, const char *things,
                         int64_t done, int64_t total)
{
    double seconds;
    if (is_due(progress, &seconds)) {
        output_text(stderr, "%s %lld of %lld %s (%d%%), %.0f/s", verb, (long long)done,
                    (long long)total, things, percent(done, total), (double)done / seconds);
        end_line(progress);
    }
}

void progress_clear(struct progress *progress)
{
    if (progress->is_shown) {
        fputs("\r\033[K", stderr);
        progress->is_shown = false;
    }
}
