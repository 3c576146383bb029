#include "base/mem.h"
#include "topic/catalogue_internal.h"

#include <stdlib.h>

/* What topics others see: the hashes, and the list of what is in them. */

static struct topic_list *list_new(size_t room)
{
    struct topic_list *list = mem_zalloc(sizeof *list + room * sizeof list->items[0]);
    atomic_init(&list->refs, 1);
    return list;
}

void topic_list_unref(struct topic_list *list)
{
    if (atomic_fetch_sub_explicit(&list->refs, 1, memory_order_acq_rel) == 1) {
        for (size_t i = 0; i < list->count; i++) {
            topic_unref(list->items[i]);
        }
        free(list);
    }
}

static struct topic_list *list_ref(struct topic_list *list)
{
    atomic_fetch_add_explicit(&list->refs, 1, memory_order_relaxed);
    return list;
}

static int compare_names(const void *a, const void *b)
{
    const struct topic *const *left = a;
    const struct topic *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

/* Keeps it for the next ones, when it is still what is in the hashes. */
static void keep_list(struct catalogue *catalogue, struct topic_list *list, uint64_t stamp)
{
    pthread_rwlock_wrlock(&catalogue->table_lock);
    if (catalogue->list == NULL && catalogue->changes == stamp) {
        catalogue->list = list_ref(list);
    }
    pthread_rwlock_unlock(&catalogue->table_lock);
}

struct topic_list *catalogue_list(struct catalogue *catalogue)
{
    pthread_rwlock_rdlock(&catalogue->table_lock);
    if (catalogue->list != NULL) {
        struct topic_list *known = list_ref(catalogue->list);
        pthread_rwlock_unlock(&catalogue->table_lock);
        return known;
    }
    struct topic_list *list = list_new(HASH_CNT(by_name, catalogue->by_name));
    uint64_t stamp = catalogue->changes;
    struct topic *topic;
    struct topic *next;
    HASH_ITER (by_name, catalogue->by_name, topic, next) {
        topic_ref(topic);
        list->items[list->count++] = topic;
    }
    pthread_rwlock_unlock(&catalogue->table_lock);
    if (list->count > 1) {
        qsort(list->items, list->count, sizeof list->items[0], compare_names);
    }
    keep_list(catalogue, list, stamp);
    return list;
}

/* The hashes change: the list, to be let go without table_lock, as it may be long. table_lock. */
static struct topic_list *take_list(struct catalogue *catalogue)
{
    struct topic_list *list = catalogue->list;
    catalogue->list = NULL;
    return list;
}

void catalogue_publish(struct catalogue *catalogue, struct topic *topic)
{
    pthread_rwlock_wrlock(&catalogue->table_lock);
    HASH_ADD_KEYPTR(by_name, catalogue->by_name, topic->name, strlen(topic->name), topic);
    HASH_ADD(by_id, catalogue->by_id, id, sizeof topic->id, topic);
    topic->since = ++catalogue->changes + 1;
    struct topic_list *old = take_list(catalogue);
    pthread_rwlock_unlock(&catalogue->table_lock);
    if (old != NULL) {
        topic_list_unref(old);
    }
}

void catalogue_unpublish(struct catalogue *catalogue, struct topic *topic)
{
    pthread_rwlock_wrlock(&catalogue->table_lock);
    HASH_DELETE(by_name, catalogue->by_name, topic);
    HASH_DELETE(by_id, catalogue->by_id, topic);
    catalogue->changes++;
    struct topic_list *old = take_list(catalogue);
    pthread_rwlock_unlock(&catalogue->table_lock);
    if (old != NULL) {
        topic_list_unref(old);
    }
}
