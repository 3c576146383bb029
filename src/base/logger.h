#ifndef TIDINGS_BASE_LOGGER_H
#define TIDINGS_BASE_LOGGER_H

#include "base/buf.h"

#include <stdbool.h>

/*
 * Log lines for operators: one line an event on standard error, in logfmt
 * (time=… level=… room=… msg="…" key=value …), written with one write(2). Any thread.
 *
 * Lines of one kind are limited (base/log_limit.h), whoever causes them; those left out are counted
 * and told by logger_tell_left_out.
 *
 * The level is the one process-wide setting here, set once at start; the counts of lines are the
 * one process-wide state.
 */
enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

/* Lines below this level are dropped. Call before threads start. Default: info. */
void logger_set_level(enum log_level level);

/* "debug", "info", "warn", "error" to a level; false for anything else. */
bool logger_level_parse(const char *text, enum log_level *level);

/*
 * room: the module ("net", "log"). message: what happened, in plain words; both are literals, their
 * pointers are kept, and together they are the kind of which so many may be written. format:
 * further key=value pairs; may be "". Texts are made safe by base/logfmt.h, so that bytes from a
 * peer can forge neither lines nor pairs, and do nothing to a terminal. Lines are cut at 1 KiB.
 */
void logger_line(enum log_level level, const char *room, const char *message, const char *format,
                 ...) __attribute__((format(printf, 4, 5)));

/* The same with pairs that are made already (base/logfmt.h). */
void logger_pairs(enum log_level level, const char *room, const char *message,
                  const struct buf *pairs);

/* Writes one line for each kind of which lines were left out since the last call. The server calls
 * it every few seconds and at its end. Any thread. */
void logger_tell_left_out(void);

#define LOG_DEBUG(room, message, ...) logger_line(LOG_LEVEL_DEBUG, room, message, __VA_ARGS__)
#define LOG_INFO(room, message, ...)  logger_line(LOG_LEVEL_INFO, room, message, __VA_ARGS__)
#define LOG_WARN(room, message, ...)  logger_line(LOG_LEVEL_WARN, room, message, __VA_ARGS__)
#define LOG_ERROR(room, message, ...) logger_line(LOG_LEVEL_ERROR, room, message, __VA_ARGS__)

#endif
