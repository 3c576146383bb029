#ifndef TIDINGS_FUZZ_FUZZ_H
#define TIDINGS_FUZZ_FUZZ_H

#include "base/slice.h"

/*
 * What a fuzz target gives: the function that libFuzzer and driver.c call, and the seeds to begin
 * with. README.md tells how to add one.
 */

/* Tries one input; aborts when something that must hold does not. Always 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Calls each for every seed: made ones, and those kept in the text file at corpus_path. */
void fuzz_seeds(const char *corpus_path, void (*each)(void *context, struct slice seed),
                void *context);

#endif
