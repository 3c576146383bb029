#include "topic/catalogue_names.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* Topics whose names are alike; mostly one. */
struct alike {
    char *shape;
    struct topic *topics;
    UT_hash_handle hh;
};

/* shape: with room for any topic's name. */
static size_t write_shape(const char *name, char *shape)
{
    size_t size = strlen(name);
    for (size_t i = 0; i < size; i++) {
        shape[i] = name[i] == '.' ? '_' : name[i];
    }
    shape[size] = '\0';
    return size;
}

static struct alike *find(const struct catalogue_names *names, const char *shape, size_t size)
{
    struct alike *alike;
    HASH_FIND(hh, names->alike, shape, size, alike);
    return alike;
}

void catalogue_names_add(struct catalogue_names *names, struct topic *topic)
{
    char shape[TOPIC_NAME_MAX + 1];
    size_t size = write_shape(topic->name, shape);
    struct alike *alike = find(names, shape, size);
    if (alike == NULL) {
        alike = mem_new(struct alike);
        alike->shape = mem_strdup(shape);
        HASH_ADD_KEYPTR(hh, names->alike, alike->shape, size, alike);
    }
    LL_PREPEND2(alike->topics, topic, next_alike);
}

static void forget(struct catalogue_names *names, struct alike *alike)
{
    HASH_DEL(names->alike, alike);
    free(alike->shape);
    free(alike);
}

void catalogue_names_remove(struct catalogue_names *names, struct topic *topic)
{
    char shape[TOPIC_NAME_MAX + 1];
    size_t size = write_shape(topic->name, shape);
    struct alike *alike = find(names, shape, size);
    LL_DELETE2(alike->topics, topic, next_alike);
    if (alike->topics == NULL) {
        forget(names, alike);
    }
}

struct topic *catalogue_names_find(const struct catalogue_names *names, const char *name)
{
    char shape[TOPIC_NAME_MAX + 1];
    size_t size = write_shape(name, shape);
    const struct alike *alike = find(names, shape, size);
    return alike != NULL ? alike->topics : NULL;
}

void catalogue_names_deinit(struct catalogue_names *names)
{
    struct alike *alike;
    struct alike *next;
    HASH_ITER (hh, names->alike, alike, next) {
        forget(names, alike);
    }
}
