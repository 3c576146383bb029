#include "crash.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static uint64_t the_seed; /* for the message of a failure, which any thread may print */
static const char *the_scenario = "";

void crash_set_seed(uint64_t seed, const char *scenario)
{
    the_seed = seed;
    the_scenario = scenario;
}

void crash_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    flockfile(stdout);
    printf("FAILED %s: ", the_scenario);
    vprintf(format, args);
    printf("\nagain: CRASH_SEED=%llu, the data is kept\n", (unsigned long long)the_seed);
    fflush(stdout);
    va_end(args);
    _exit(1);
}
