#ifndef TIDINGS_CLI_OUTPUT_TEXT_H
#define TIDINGS_CLI_OUTPUT_TEXT_H

#include <stdarg.h>
#include <stdio.h>

/*
 * How lines for people are printed. Names that others chose come in everywhere (groups, clients,
 * keys, messages of a server), so all text that has a %s goes through here, through table_cell or
 * through cli_fail: what would do something to a terminal is escaped.
 */

/* Prints like fprintf, with each %s as utf8_escape writes it; no width of a %s. */
void output_text(FILE *to, const char *format, ...) __attribute__((format(printf, 2, 3)));
void output_text_list(FILE *to, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

#endif
