#include "base/budget.h"

#include "base/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* They leave 100 for the program itself. */
static const struct {
    const char *name;
    int permille;
} rows[BUDGET_SHARES] = {
    [BUDGET_FRAMES] = {"frames", 150},      [BUDGET_REQUESTS] = {"requests", 200},
    [BUDGET_ANSWERS] = {"answers", 150},    [BUDGET_GROUPS] = {"groups", 150},
    [BUDGET_PRODUCERS] = {"producers", 50}, [BUDGET_PARTITIONS] = {"partitions", 150},
    [BUDGET_CLEANER] = {"cleaner", 50},
};

const char *budget_share_name(enum budget_share share)
{
    return rows[share].name;
}

int budget_share_permille(enum budget_share share)
{
    return rows[share].permille;
}

void budget_init(struct budget *budget, int64_t max_bytes)
{
    memset(budget, 0, sizeof *budget);
    budget->max_bytes = max_bytes;
    for (int i = 0; i < BUDGET_SHARES; i++) {
        budget->shares[i].limit_bytes = max_bytes / 1000 * rows[i].permille;
    }
}

/* The first number of a file; -1: none, or no limit ("max"). */
static int64_t number_in(const char *path)
{
    char text[32] = "";
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return -1;
    }
    bool any = fgets(text, sizeof text, file) != NULL;
    fclose(file);
    return any && text[0] >= '0' && text[0] <= '9' ? strtoll(text, NULL, 10) : -1;
}

static int64_t least_limit(int64_t a, int64_t b)
{
    return b > 0 && b < a ? b : a;
}

/* The smallest limit from the group of the process up to the root. path is used up. */
static int64_t limit_above(const char *root, char *path, const char *name, int64_t least)
{
    for (char *slash; (slash = strrchr(path, '/')) != NULL; *slash = '\0') {
        char *file = mem_sprintf("%s%s/%s", root, path, name);
        least = least_limit(least, number_in(file));
        free(file);
    }
    char *file = mem_sprintf("%s/%s", root, name); /* inside of a container */
    least = least_limit(least, number_in(file));
    free(file);
    return least;
}

/* A line of /proc/self/cgroup: "0::/path" (v2), "7:memory:/path" (v1). */
static int64_t limit_of(char *line, int64_t least)
{
    line[strcspn(line, "\n")] = '\0';
    char *first = strchr(line, ':');
    char *second = first != NULL ? strchr(first + 1, ':') : NULL;
    if (second == NULL) {
        return least;
    }
    *second = '\0';
    const char *controllers = first + 1;
    if (controllers[0] == '\0') {
        return limit_above("/sys/fs/cgroup", second + 1, "memory.max", least);
    }
    return strcmp(controllers, "memory") == 0
               ? limit_above("/sys/fs/cgroup/memory", second + 1, "memory.limit_in_bytes", least)
               : least;
}

int64_t budget_default_bytes(void)
{
    char line[4200]; /* a path at most */
    int64_t least = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    FILE *file = fopen("/proc/self/cgroup", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        least = limit_of(line, least);
    }
    if (file != NULL) {
        fclose(file);
    }
    return least / 2 > BUDGET_LEAST_BYTES ? least / 2 : BUDGET_LEAST_BYTES;
}

static void raise_to(_Atomic int64_t *most_bytes, int64_t bytes)
{
    int64_t most = atomic_load_explicit(most_bytes, memory_order_relaxed);
    while (bytes > most && !atomic_compare_exchange_weak(most_bytes, &most, bytes)) {
    }
}

static void note_most(struct budget_used *used, int64_t bytes)
{
    raise_to(&used->most_bytes, bytes);
    raise_to(&used->recent_bytes, bytes);
}

int64_t budget_recent_most(struct budget *budget, enum budget_share share)
{
    struct budget_used *used = &budget->shares[share];
    return atomic_exchange(&used->recent_bytes, atomic_load(&used->bytes));
}

static int64_t part_of(const struct budget_used *used, int percent)
{
    return used->limit_bytes / 100 * percent + used->limit_bytes % 100 * percent / 100;
}

static bool take(struct budget_used *used, int64_t want, int64_t limit_bytes)
{
    if (want < 0) {
        atomic_fetch_add(&used->refused, 1);
        return false;
    }
    int64_t now = atomic_fetch_add(&used->bytes, want) + want;
    if (now > limit_bytes) {
        atomic_fetch_sub(&used->bytes, want);
        atomic_fetch_add(&used->refused, 1);
        return false;
    }
    note_most(used, now);
    return true;
}

bool budget_take(struct budget *budget, enum budget_share share, size_t bytes)
{
    return budget_take_within(budget, share, bytes, 100);
}

bool budget_take_within(struct budget *budget, enum budget_share share, size_t bytes, int percent)
{
    struct budget_used *used = &budget->shares[share];
    return take(used, (int64_t)bytes, part_of(used, percent));
}

/* Up to where the share may be filled for this holder. */
static int64_t fair_limit(const struct budget_used *used, size_t bytes, size_t has)
{
    size_t little = (size_t)(used->limit_bytes / BUDGET_LITTLE_PART);
    bool has_little = has <= little && bytes <= little - has;
    return has_little ? used->limit_bytes
                      : used->limit_bytes - used->limit_bytes / BUDGET_LEFT_PART;
}

bool budget_take_fairly(struct budget *budget, enum budget_share share, size_t bytes, size_t has)
{
    struct budget_used *used = &budget->shares[share];
    return take(used, (int64_t)bytes, fair_limit(used, bytes, has));
}

bool budget_has_room(struct budget *budget, enum budget_share share, size_t bytes, size_t has)
{
    struct budget_used *used = &budget->shares[share];
    int64_t now = atomic_load_explicit(&used->bytes, memory_order_relaxed);
    if ((int64_t)bytes < 0 || now > fair_limit(used, bytes, has) - (int64_t)bytes) {
        atomic_fetch_add(&used->refused, 1);
        return false;
    }
    return true;
}

void budget_add(struct budget *budget, enum budget_share share, size_t bytes)
{
    struct budget_used *used = &budget->shares[share];
    note_most(used, atomic_fetch_add(&used->bytes, (int64_t)bytes) + (int64_t)bytes);
}

void budget_give(struct budget *budget, enum budget_share share, size_t bytes)
{
    int64_t before = atomic_fetch_sub(&budget->shares[share].bytes, (int64_t)bytes);
    assert(before >= (int64_t)bytes);
}

bool budget_is_over(const struct budget *budget, enum budget_share share)
{
    return budget_is_past(budget, share, 100);
}

bool budget_is_past(const struct budget *budget, enum budget_share share, int percent)
{
    const struct budget_used *used = &budget->shares[share];
    return atomic_load_explicit(&used->bytes, memory_order_relaxed) > part_of(used, percent);
}

bool budget_is_spent(const struct budget *budget, int permille)
{
    int64_t sum = 0;
    for (int i = 0; i < BUDGET_SHARES; i++) {
        sum += atomic_load_explicit(&budget->shares[i].bytes, memory_order_relaxed);
    }
    return sum > budget->max_bytes / 1000 * permille;
}

/* What the purse asks for, so that bytes more fit: whole pieces. */
static size_t missing(const struct budget_purse *purse, size_t bytes)
{
    size_t lacks = (size_t)(purse->used_bytes + (int64_t)bytes - purse->taken_bytes);
    return (lacks + BUDGET_PIECE_BYTES - 1) / BUDGET_PIECE_BYTES * BUDGET_PIECE_BYTES;
}

static bool has_room(const struct budget_purse *purse, size_t bytes)
{
    return purse->used_bytes + (int64_t)bytes <= purse->taken_bytes;
}

bool budget_purse_add(struct budget_purse *purse, size_t bytes)
{
    bool asks = !has_room(purse, bytes);
    if (asks) {
        size_t more = missing(purse, bytes);
        if (purse->budget != NULL) {
            budget_add(purse->budget, purse->share, more);
        }
        purse->taken_bytes += (int64_t)more;
    }
    purse->used_bytes += (int64_t)bytes;
    return asks;
}

bool budget_purse_take(struct budget_purse *purse, size_t bytes, int percent)
{
    if (!has_room(purse, bytes)) {
        size_t more = missing(purse, bytes);
        if (purse->budget != NULL &&
            !budget_take_within(purse->budget, purse->share, more, percent)) {
            return false;
        }
        purse->taken_bytes += (int64_t)more;
    }
    purse->used_bytes += (int64_t)bytes;
    return true;
}

void budget_purse_give(struct budget_purse *purse, size_t bytes)
{
    assert(purse->used_bytes >= (int64_t)bytes);
    purse->used_bytes -= (int64_t)bytes;
    int64_t spare = purse->taken_bytes - purse->used_bytes;
    if (spare > 2 * BUDGET_PIECE_BYTES) {
        int64_t back = spare / BUDGET_PIECE_BYTES * BUDGET_PIECE_BYTES - BUDGET_PIECE_BYTES;
        purse->taken_bytes -= back;
        if (purse->budget != NULL) {
            budget_give(purse->budget, purse->share, (size_t)back);
        }
    }
}
