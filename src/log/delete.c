#include "log/log.h"

#include "base/logger.h"
#include "base/mem.h"
#include "base/priority.h"
#include "base/random.h"
#include "log/log_internal.h"
#include "log/space.h"

#include <stdlib.h>
#include <string.h>

static const char suffix[] = "-delete";

struct removal {
    const struct file_ops *files;
    const char *dir;
    struct reason *reason;
};

static enum err remove_name(void *context, const char *name)
{
    const struct removal *removal = context;
    char *path = mem_sprintf("%s/%s", removal->dir, name);
    enum err err = file_unlink(removal->files, path, removal->reason);
    free(path);
    return err;
}

static enum err remove_dir(const struct file_ops *files, const char *dir, struct reason *reason)
{
    struct removal removal = {.files = files, .dir = dir, .reason = reason};
    enum err err = file_list_dir(dir, remove_name, &removal, reason);
    if (err == ERR_NONE && files->rmdir(files->context, dir) != 0) {
        err = reason_errno(reason, "cannot delete directory %s", dir);
    }
    return err;
}

static char *parent_of(const char *dir)
{
    const char *slash = strrchr(dir, '/');
    return slash == NULL ? mem_strdup(".") : mem_strndup(dir, (size_t)(slash - dir));
}

/*
 * Where a deleted directory goes: "<dir>.<random>-delete", with the name cut so that the longest
 * topic name still fits a file name.
 */
static char *away_name(const char *dir, const char *parent)
{
    enum { NAME_KEPT = 200 };
    uint64_t number;
    random_secure(&number, sizeof number);
    const char *slash = strrchr(dir, '/');
    return mem_sprintf("%s/%.*s.%016llx%s", parent, (int)NAME_KEPT, slash == NULL ? dir : slash + 1,
                       (unsigned long long)number, suffix);
}

/* Renames, unsynced; *away is the new path, to be freed whatever is returned. */
static enum err set_aside(const struct file_ops *files, const char *dir, char **away,
                          struct reason *reason)
{
    char *parent = parent_of(dir);
    *away = away_name(dir, parent);
    enum err err = file_rename(files, dir, *away, reason);
    free(parent);
    return err;
}

static enum err sync_parent(const struct file_ops *files, const char *dir, struct reason *reason)
{
    char *parent = parent_of(dir);
    enum err err = file_sync_dir(files, parent, reason);
    free(parent);
    return err;
}

enum err log_discard_dir(const struct file_ops *files, const char *dir, struct reason *reason)
{
    if (!file_exists(dir)) {
        return ERR_NONE;
    }
    char *away;
    enum err err = set_aside(files, dir, &away, reason);
    free(away);
    return err;
}

/* No new segment or index appears after this. */
static bool mark_deleted(struct log *log)
{
    pthread_mutex_lock(&log->load_lock);
    pthread_mutex_lock(&log->upkeep_lock);
    pthread_mutex_lock(&log->append_lock);
    bool first = !atomic_exchange(&log->deleted, true);
    pthread_mutex_lock(&log->segments_lock);
    for (size_t i = 0; i < log->segments.count; i++) {
        atomic_store(&log->segments.items[i]->replaced, true); /* before the directory is renamed */
    }
    pthread_mutex_unlock(&log->segments_lock);
    pthread_mutex_unlock(&log->append_lock);
    pthread_mutex_unlock(&log->upkeep_lock);
    pthread_mutex_unlock(&log->load_lock);
    return first;
}

/* The new path, or NULL: there is nothing to remove. */
static char *begin_delete(struct log *log, enum err *err, struct reason *reason)
{
    if (!mark_deleted(log)) {
        return NULL;
    }
    if (log->env.flusher != NULL &&
        atomic_load(&log->flushed_offset) < atomic_load(&log->end_offset)) {
        flusher_mark(log->env.flusher, log); /* so that who waits for the rest is told */
    }
    char *away;
    struct reason why;
    log_names_hold(log);
    enum err renamed = set_aside(log->env.files, log->dir, &away, &why);
    if (renamed == ERR_NO_SPACE && space_give_up_spare(log->env.space)) { /* for the longer name */
        free(away);
        renamed = set_aside(log->env.files, log->dir, &away, &why);
    }
    log_names_release(log);
    if (renamed == ERR_NONE) {
        return away;
    }
    free(away);
    *err = reason_fail(reason, renamed, "%s", why.text);
    return NULL;
}

enum err log_set_aside_many(struct log *const *logs, size_t count, char ***away,
                            struct reason *reason)
{
    enum err err = ERR_NONE;
    char **dirs = mem_new_array(char *, count);
    for (size_t i = 0; i < count; i++) {
        dirs[i] = begin_delete(logs[i], &err, reason);
    }
    *away = dirs;
    return err;
}

enum err log_remove_aside(const struct file_ops *files, char **away, size_t count,
                          struct reason *reason)
{
    enum err err = ERR_NONE;
    for (size_t i = 0; i < count; i++) {
        struct reason why;
        priority_stand_back();
        enum err removed =
            away[i] != NULL && files != NULL ? remove_dir(files, away[i], &why) : ERR_NONE;
        if (removed != ERR_NONE && err == ERR_NONE) {
            err = reason_fail(reason, removed, "%s", why.text);
        }
        free(away[i]);
    }
    free(away);
    return err;
}

enum err log_delete(struct log *log, struct reason *reason)
{
    char **away;
    struct reason why;
    enum err err = log_set_aside_many(&log, 1, &away, reason);
    enum err synced = sync_parent(log->env.files, log->dir, &why);
    if (err == ERR_NONE && synced != ERR_NONE) {
        err = reason_fail(reason, synced, "%s", why.text);
    }
    enum err removed = log_remove_aside(synced == ERR_NONE ? log->env.files : NULL, away, 1, &why);
    return err == ERR_NONE && removed != ERR_NONE ? reason_fail(reason, removed, "%s", why.text)
                                                  : err;
}

struct leftovers {
    const struct file_ops *files;
    const char *parent;
    int removed;
};

static enum err remove_leftover(void *context, const char *name)
{
    struct leftovers *leftovers = context;
    size_t length = strlen(name);
    if (length <= sizeof suffix - 1 || strcmp(name + length - (sizeof suffix - 1), suffix) != 0) {
        return ERR_NONE;
    }
    struct reason why;
    char *path = mem_sprintf("%s/%s", leftovers->parent, name);
    if (remove_dir(leftovers->files, path, &why) != ERR_NONE) {
        LOG_WARN("log", "a deleted log could not be removed", "reason=\"%s\"", why.text);
    } else if (leftovers->removed++ == 0) {
        LOG_INFO("log", "directories of deleted partitions are removed", "first=\"%s\"", path);
    }
    free(path);
    return ERR_NONE;
}

void log_delete_leftovers(const struct file_ops *files, const char *parent)
{
    struct leftovers leftovers = {.files = files, .parent = parent};
    struct reason why;
    if (file_list_dir(parent, remove_leftover, &leftovers, &why) != ERR_NONE) {
        LOG_WARN("log", "leftovers of deleted logs were not looked for", "reason=\"%s\"", why.text);
    }
    if (leftovers.removed > 0) {
        LOG_INFO("log", "directories of deleted partitions were removed", "count=%d dir=\"%s\"",
                 leftovers.removed, parent);
    }
}
