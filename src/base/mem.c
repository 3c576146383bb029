#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *check(void *memory, size_t size)
{
    if (memory == NULL) {
        fprintf(stderr, "level=fatal msg=\"out of memory\" bytes=%zu\n", size);
        abort();
    }
    return memory;
}

void *mem_alloc(size_t size)
{
    return check(malloc(size ? size : 1), size);
}

void *mem_zalloc(size_t size)
{
    return check(calloc(1, size ? size : 1), size);
}

void *mem_zalloc_array(size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size) {
        return check(NULL, SIZE_MAX);
    }
    return mem_zalloc(count * size);
}

void *mem_realloc(void *memory, size_t size)
{
    return check(realloc(memory, size ? size : 1), size);
}

void *mem_realloc_array(void *memory, size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size) {
        return check(NULL, SIZE_MAX);
    }
    return mem_realloc(memory, count * size);
}

void *mem_dup(const void *data, size_t size)
{
    void *copy = mem_alloc(size);
    if (size != 0) {
        memcpy(copy, data, size);
    }
    return copy;
}

char *mem_strndup(const char *text, size_t size)
{
    char *copy = mem_alloc(size + 1);
    if (size != 0) {
        memcpy(copy, text, size);
    }
    copy[size] = '\0';
    return copy;
}

char *mem_strdup(const char *text)
{
    return text == NULL ? NULL : mem_strndup(text, strlen(text));
}

char *mem_sprintf(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = NULL;
    int size = vasprintf(&text, format, args);
    va_end(args);
    return size < 0 ? check(NULL, 0) : text;
}

uint64_t mem_resident_bytes(void)
{
    unsigned long long size, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file != NULL) {
        if (fscanf(file, "%llu %llu", &size, &resident) != 2) {
            resident = 0;
        }
        fclose(file);
    }
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}
