#ifndef TIDINGS_BUS_CONSOLE_CONSOLE_RATES_H
#define TIDINGS_BUS_CONSOLE_CONSOLE_RATES_H

#include <stddef.h>
#include <stdint.h>

/*
 * How fast numbers grow that pages look at now and then: the last RATES_KEPT samples of each name,
 * at least RATES_GAP_MS apart. At most RATES_NAMES_MAX names (2 MiB in all); of more, the one that
 * was not looked at for longest goes. Any thread.
 */
enum { RATES_KEPT = 60, RATES_GAP_MS = 900, RATES_NAMES_MAX = 2000, RATES_SPAN_MS = 15000 };

struct console_rates;

/* Knows no names yet. Free with console_rates_free. */
struct console_rates *console_rates_new(void);

/* Nobody uses it any more. NULL is fine. */
void console_rates_free(struct console_rates *rates);

/* The number is so large at this time; a sample soon after the last one is left out. What is
 * smaller than it was begins anew. */
void console_rates_sample(struct console_rates *rates, const char *name, int64_t number,
                          int64_t now_ms);

/* How much a second it grew within the last RATES_SPAN_MS; -1: not known (yet). */
double console_rates_now(struct console_rates *rates, const char *name, int64_t now_ms);

/* The growth a second between samples, oldest first, into values[]: returns how many, at most
 * `most`. */
size_t console_rates_list(struct console_rates *rates, const char *name, double *values,
                          size_t most);

#endif
