#include "base/logger.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/log_limit.h"
#include "base/logfmt.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_BYTES = 1023 }; /* without the newline */

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static atomic_int minimum_level = LOG_LEVEL_INFO;
static pthread_mutex_t limit_lock = PTHREAD_MUTEX_INITIALIZER; /* guards: */
static struct log_limit limit;

void logger_set_level(enum log_level level)
{
    atomic_store(&minimum_level, (int)level);
}

bool logger_level_parse(const char *text, enum log_level *level)
{
    for (int i = LOG_LEVEL_DEBUG; i <= LOG_LEVEL_ERROR; i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

static void append_head(struct buf *line, enum log_level level, const char *room,
                        const char *message)
{
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    char stamp[32];
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
    buf_printf(line, "time=%s.%03ldZ level=%s room=%s msg=\"%s\"", stamp, now.tv_nsec / 1000000,
               level_names[level], room, message);
}

/* Cuts it to what one line may have, between two characters. */
static void cut_line(struct buf *line)
{
    size_t size = 0;
    while (size < line->size) {
        size_t part = utf8_sequence(slice_of(line->data + size, line->size - size));
        part = part > 0 ? part : 1;
        if (size + part > LINE_BYTES) {
            break;
        }
        size += part;
    }
    line->size = size;
}

/* Writes it out, and frees it. */
static void put_line(struct buf *line)
{
    cut_line(line);
    buf_append_u8(line, '\n');
    ssize_t ignored = write(STDERR_FILENO, line->data, line->size);
    (void)ignored;
    buf_deinit(line);
}

static bool may_write(const char *room, const char *message)
{
    pthread_mutex_lock(&limit_lock);
    bool pass = log_limit_pass(&limit, room, message, clock_mono_ms(clock_system()));
    pthread_mutex_unlock(&limit_lock);
    return pass;
}

__attribute__((format(printf, 4, 0))) static void write_line(enum log_level level, const char *room,
                                                             const char *message,
                                                             const char *format, va_list args)
{
    struct buf line = {0};
    append_head(&line, level, room, message);
    buf_append_str(&line, format[0] != '\0' ? " " : "");
    logfmt_append(&line, format, args);
    put_line(&line);
}

void logger_pairs(enum log_level level, const char *room, const char *message,
                  const struct buf *pairs)
{
    if ((int)level < atomic_load_explicit(&minimum_level, memory_order_relaxed) ||
        !may_write(room, message)) {
        return;
    }
    struct buf line = {0};
    append_head(&line, level, room, message);
    buf_append_u8(&line, ' ');
    buf_append_slice(&line, buf_slice(pairs));
    put_line(&line);
}

void logger_line(enum log_level level, const char *room, const char *message, const char *format,
                 ...)
{
    if ((int)level < atomic_load_explicit(&minimum_level, memory_order_relaxed) ||
        !may_write(room, message)) {
        return;
    }
    va_list args;
    va_start(args, format);
    write_line(level, room, message, format, args);
    va_end(args);
}

/* Not limited itself: there are not more of them than kinds. */
__attribute__((format(printf, 2, 3))) static void tell_left_out(const char *room,
                                                                const char *format, ...)
{
    va_list args;
    va_start(args, format);
    write_line(LOG_LEVEL_WARN, room, "log lines were left out", format, args);
    va_end(args);
}

void logger_tell_left_out(void)
{
    for (;;) {
        struct log_limit_kind kind;
        pthread_mutex_lock(&limit_lock);
        bool any = log_limit_left_out(&limit, &kind);
        pthread_mutex_unlock(&limit_lock);
        if (!any) {
            return;
        }
        tell_left_out(kind.room, "count=%" PRIu64 " of=\"%s\"", kind.left_out, kind.message);
    }
}
