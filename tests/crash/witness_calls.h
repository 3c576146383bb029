#ifndef TIDINGS_TESTS_CRASH_WITNESS_CALLS_H
#define TIDINGS_TESTS_CRASH_WITNESS_CALLS_H

#include "witness.h"

#include <pthread.h>
#include <stddef.h>

/*
 * Between the two files of the witness that is preloaded into the server: sync_witness.c has the
 * syncs, name_witness.c what happens to names. A preloaded library has nobody to pass it things, so
 * the lock is global.
 *
 * The lock is held from the look at sizes and names over the call to the note: of two syncs at once
 * the one that looked first could note last, and the last note counts.
 */
extern pthread_mutex_t witness_lock;

/* Copies the address of the C library's function to *call, a pointer to it. */
void witness_find_call(void *call, const char *name);

/* Notes how much of files is synced. The lock is held. */
void witness_note(const struct witness_record *records, size_t count);

/* The directory was synced: what happened to its names until now is durable. The lock is held. */
void witness_dir_synced(uint64_t inode);

/* The file system was synced: so is everything that happened to names. The lock is held. */
void witness_all_synced(void);

#endif
