#include "base/mem.h"
#include "topic/catalogue_internal.h"

#include <stdlib.h>
#include <string.h>

/* Settings of consumer groups. What they mean is known above; here they are kept. */

struct group_settings {
    char *id;
    struct overrides own;
    UT_hash_handle hh;
};

/* table_lock. */
static struct group_settings *find_group(const struct catalogue *catalogue, struct slice group)
{
    struct group_settings *found;
    HASH_FIND(hh, catalogue->groups, group.data, group.size, found);
    return found;
}

/* table_lock, for writing. */
static struct group_settings *find_or_add(struct catalogue *catalogue, struct slice group)
{
    struct group_settings *found = find_group(catalogue, group);
    if (found == NULL) {
        found = mem_new(struct group_settings);
        found->id = mem_strndup((const char *)group.data, group.size);
        HASH_ADD_KEYPTR(hh, catalogue->groups, found->id, group.size, found);
    }
    return found;
}

static void take_setting(void *context, const char *group, const char *name, const char *value)
{
    overrides_set(&find_or_add(context, slice_str(group))->own, slice_str(name), slice_str(value));
}

enum err catalogue_groups_load(struct catalogue *catalogue, struct reason *reason)
{
    return catalogue_db_each_group_setting(catalogue->db, take_setting, catalogue, reason);
}

void catalogue_groups_free(struct catalogue *catalogue)
{
    struct group_settings *group, *next;
    HASH_ITER (hh, catalogue->groups, group, next) {
        HASH_DEL(catalogue->groups, group);
        overrides_deinit(&group->own);
        free(group->id);
        free(group);
    }
}

void catalogue_group_overrides(struct catalogue *catalogue, struct slice group,
                               struct overrides *out)
{
    *out = (struct overrides){0};
    pthread_rwlock_rdlock(&catalogue->table_lock);
    const struct group_settings *found = find_group(catalogue, group);
    if (found != NULL) {
        overrides_copy(out, &found->own);
    }
    pthread_rwlock_unlock(&catalogue->table_lock);
}

char **catalogue_groups_with_settings(struct catalogue *catalogue, size_t *count)
{
    pthread_rwlock_rdlock(&catalogue->table_lock);
    char **ids = mem_new_array(char *, HASH_COUNT(catalogue->groups) + 1);
    *count = 0;
    for (const struct group_settings *g = catalogue->groups; g != NULL; g = g->hh.next) {
        if (g->own.count > 0) {
            ids[(*count)++] = mem_strdup(g->id);
        }
    }
    pthread_rwlock_unlock(&catalogue->table_lock);
    return ids;
}

/* change_lock. */
static enum err store(struct catalogue *catalogue, struct slice group, const struct overrides *own,
                      struct reason *reason)
{
    char *id = mem_strndup((const char *)group.data, group.size);
    enum err err = catalogue_db_set_group_overrides(catalogue->db, id, own, reason);
    free(id);
    if (err != ERR_NONE) {
        return err;
    }
    pthread_rwlock_wrlock(&catalogue->table_lock);
    struct group_settings *found = find_or_add(catalogue, group);
    overrides_deinit(&found->own);
    overrides_copy(&found->own, own);
    pthread_rwlock_unlock(&catalogue->table_lock);
    return ERR_NONE;
}

enum err catalogue_edit_group_overrides(struct catalogue *catalogue, struct slice group,
                                        catalogue_edit *edit, void *context, bool validate_only,
                                        struct reason *reason)
{
    if (group.size == 0 || slice_find(group, '\0') != NULL) {
        return reason_fail(reason, ERR_INVALID,
                           "settings need a group id, which is not empty and has no zero byte");
    }
    struct overrides own;
    fair_lock_take(&catalogue->change_lock);
    catalogue_group_overrides(catalogue, group, &own);
    enum err err = edit(context, &own, reason);
    if (err == ERR_NONE && !validate_only) {
        err = store(catalogue, group, &own, reason);
    }
    overrides_deinit(&own);
    fair_lock_give(&catalogue->change_lock);
    return err;
}
