#include "bus/console/console_rates.h"

#include "base/mem.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct sample {
    int64_t at_ms, number;
};

struct series {
    UT_hash_handle hh;
    char *name;
    struct sample samples[RATES_KEPT]; /* a ring */
    size_t count, next;
};

struct console_rates {
    pthread_mutex_t lock;  /* guards all below */
    struct series *series; /* in the order in which they were last sampled */
};

struct console_rates *console_rates_new(void)
{
    struct console_rates *rates = mem_new(struct console_rates);
    pthread_mutex_init(&rates->lock, NULL);
    return rates;
}

static void forget(struct console_rates *rates, struct series *series)
{
    HASH_DEL(rates->series, series);
    free(series->name);
    free(series);
}

void console_rates_free(struct console_rates *rates)
{
    struct series *at, *next;
    if (rates == NULL) {
        return;
    }
    HASH_ITER (hh, rates->series, at, next) {
        forget(rates, at);
    }
    pthread_mutex_destroy(&rates->lock);
    free(rates);
}

/* The sample `back` before the newest. */
static const struct sample *sample_of(const struct series *series, size_t back)
{
    return &series->samples[(series->next + RATES_KEPT - 1 - back) % RATES_KEPT];
}

static struct series *find(struct console_rates *rates, const char *name)
{
    struct series *series;
    HASH_FIND_STR(rates->series, name, series);
    return series;
}

void console_rates_sample(struct console_rates *rates, const char *name, int64_t number,
                          int64_t now_ms)
{
    pthread_mutex_lock(&rates->lock);
    struct series *series = find(rates, name);
    if (series == NULL) {
        if (HASH_COUNT(rates->series) >= RATES_NAMES_MAX) {
            forget(rates, rates->series);
        }
        series = mem_new(struct series);
        series->name = mem_strdup(name);
    } else {
        HASH_DEL(rates->series, series);
    }
    HASH_ADD_KEYPTR(hh, rates->series, series->name, strlen(series->name), series);
    if (series->count > 0 && number < sample_of(series, 0)->number) {
        series->count = 0;
    }
    if (series->count == 0 || now_ms - sample_of(series, 0)->at_ms >= RATES_GAP_MS) {
        series->samples[series->next] = (struct sample){now_ms, number};
        series->next = (series->next + 1) % RATES_KEPT;
        series->count += series->count < RATES_KEPT;
    }
    pthread_mutex_unlock(&rates->lock);
}

static double growth(const struct sample *from, const struct sample *to)
{
    int64_t ms = to->at_ms - from->at_ms;
    return ms > 0 ? (double)(to->number - from->number) * 1000.0 / (double)ms : 0;
}

double console_rates_now(struct console_rates *rates, const char *name, int64_t now_ms)
{
    double rate = -1;
    pthread_mutex_lock(&rates->lock);
    const struct series *series = find(rates, name);
    if (series != NULL && series->count > 1 &&
        now_ms - sample_of(series, 0)->at_ms < RATES_SPAN_MS) {
        size_t back = 1;
        while (back + 1 < series->count &&
               now_ms - sample_of(series, back)->at_ms < RATES_SPAN_MS) {
            back++;
        }
        rate = growth(sample_of(series, back), sample_of(series, 0));
    }
    pthread_mutex_unlock(&rates->lock);
    return rate;
}

size_t console_rates_list(struct console_rates *rates, const char *name, double *values,
                          size_t most)
{
    size_t count = 0;
    pthread_mutex_lock(&rates->lock);
    const struct series *series = find(rates, name);
    if (series != NULL && series->count > 1) {
        count = series->count - 1 < most ? series->count - 1 : most;
        for (size_t i = 0; i < count; i++) {
            values[i] = growth(sample_of(series, count - i), sample_of(series, count - i - 1));
        }
    }
    pthread_mutex_unlock(&rates->lock);
    return count;
}
