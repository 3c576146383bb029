#ifndef TIDINGS_BASE_MEM_H
#define TIDINGS_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

/*
 * Allocation that does not fail: out of memory ends the process with one line on standard error.
 * Every size that a peer can choose is checked against a limit before it gets here, so running
 * out means the machine is out, and a restart from the log is the safe way on (promise 1 holds).
 * Any thread.
 */
void *mem_alloc(size_t size);                     /* uninitialised; size 0 gives a unique pointer */
void *mem_zalloc(size_t size);                    /* zeroed */
void *mem_realloc(void *memory, size_t size);     /* like realloc */
char *mem_strdup(const char *text);               /* NULL stays NULL */
char *mem_strndup(const char *text, size_t size); /* NUL-terminated copy of size bytes */
void *mem_dup(const void *data, size_t size);
char *mem_sprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define mem_new(type)              ((type *)mem_zalloc(sizeof(type)))
#define mem_new_array(type, count) ((type *)mem_zalloc_array((count), sizeof(type)))

/* Zeroed room for count things of size bytes; an overflowing product ends the process. */
void *mem_zalloc_array(size_t count, size_t size);

/* Makes the memory hold count things of size bytes; an overflowing product ends the process. */
void *mem_realloc_array(void *memory, size_t count, size_t size);

/* What size bytes on the heap take with the allocator's own part: an estimate, as glibc does it. */
static inline size_t mem_cost(size_t size)
{
    size_t chunk = (size + sizeof(size_t) + 15) & ~(size_t)15;
    return chunk > 32 ? chunk : 32;
}

/* What the process has in memory, all of it (proc(5), statm): 0 when the system does not say. Takes
 * some 20 us. */
uint64_t mem_resident_bytes(void);

/* What a hash (uthash) takes beside its items, from the first one on. */
enum { MEM_HASH_COST = 640 };

/* The struct of `type` whose member `member` is at `pointer`. */
#define container_of(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
