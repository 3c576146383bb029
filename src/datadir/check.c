#include "datadir/check.h"

#include "base/mem.h"
#include "base/vec.h"
#include "datadir/check_internal.h"
#include "topic/catalogue_db.h"
#include "topic/data_dir.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A topic as the catalogue has it. */
struct listed_topic {
    char *name;
    struct topic_id id;
    int32_t partition_count;
    bool deleting;
    bool compacted;
    struct catalogue_db_log_starts starts;
};

struct catalogue_view {
    struct check *check;
    bool known;                      /* false: the catalogue cannot be read */
    VEC(struct listed_topic) topics; /* by name */
    struct checkpoint checkpoint;
};

static enum err take_topic(void *context, const struct catalogue_db_topic *row,
                           struct reason *reason)
{
    struct catalogue_view *view = context;
    (void)reason;
    *vec_add(&view->topics) = (struct listed_topic){
        .name = mem_strndup((const char *)row->name.data, row->name.size),
        .id = row->id,
        .partition_count = row->partition_count,
        .deleting = row->deleting,
        .compacted = row->internal,
    };
    return ERR_NONE;
}

static void take_complaint(void *context, const char *file, bool harmless, const char *text)
{
    struct catalogue_view *view = context;
    struct reason whole;
    reason_set(&whole, "%s%s", text,
               harmless
                   ? "; the other of tidings.db and tidings-copy.db is good, and the next start "
                     "makes this one anew from it"
                   : "");
    check_tell_file(view->check, harmless ? CHECK_DISPOSABLE : CHECK_DAMAGE, "bad-catalogue", file,
                    false, whole.text);
}

static enum err load_policies(struct catalogue_view *view, struct catalogue_db *db,
                              struct reason *reason)
{
    enum err err = ERR_NONE;
    for (size_t i = 0; i < view->topics.count && err == ERR_NONE; i++) {
        struct overrides overrides = {0};
        err = catalogue_db_load_overrides(db, &view->topics.items[i].id, &overrides, reason);
        const char *policy = overrides_get(&overrides, "cleanup.policy");
        if (policy != NULL && strstr(policy, "compact") != NULL) {
            view->topics.items[i].compacted = true;
        }
        overrides_deinit(&overrides);
        if (err == ERR_NONE) {
            err = catalogue_db_log_starts(db, &view->topics.items[i].id,
                                          &view->topics.items[i].starts, reason);
        }
    }
    return err;
}

/* What it finds wrong is told: the events can be read without. ERR_IO. */
static enum err check_catalogue(struct catalogue_view *view, struct reason *reason)
{
    struct check *check = view->check;
    struct reason why = {.text = ""};
    struct catalogue_db *db;
    int64_t told = check->totals->findings[CHECK_DAMAGE];
    enum err err = catalogue_db_inspect(check->options->data_dir, take_complaint, view, &db, &why);
    if (err == ERR_NONE) {
        err = catalogue_db_each_topic(db, take_topic, view, &why);
        if (err == ERR_NONE) {
            err = load_policies(view, db, &why);
        }
        view->known = err == ERR_NONE;
        catalogue_db_close(db);
    }
    if (err == ERR_NOT_FOUND) {
        check_tell_file(check, CHECK_DAMAGE, "no-catalogue", "tidings.db", false,
                        "the catalogue is missing");
    } else if (err == ERR_CORRUPT && told == check->totals->findings[CHECK_DAMAGE]) {
        check_tell_file(check, CHECK_DAMAGE, "no-catalogue", "tidings.db", false, why.text);
    } else if (err != ERR_NONE && err != ERR_CORRUPT) {
        reason_set(reason, "%s", why.text);
        return err;
    }
    return ERR_NONE;
}

/* One of the two files; *there: it exists, good or not. */
static bool check_checkpoint_file(struct catalogue_view *view, const char *name, bool *there,
                                  struct checkpoint *checkpoint)
{
    struct check *check = view->check;
    struct reason text;
    char *path = mem_sprintf("%s/%s", check->options->data_dir, name);
    bool good = checkpoint_read(checkpoint, check->files, path);
    *there = good || file_exists(path);
    if (*there && !good) {
        bool repaired = check->options->repair && file_unlink(check->files, path, NULL) == ERR_NONE;
        check_tell_file(check, CHECK_DISPOSABLE, "bad-checkpoint", name, repaired,
                        check_remedy(check, "its checksum does not fit what it says", &text));
    }
    free(path);
    return good;
}

static void check_checkpoint(struct catalogue_view *view)
{
    struct checkpoint copy;
    bool there;
    bool copy_there;
    bool good = check_checkpoint_file(view, CHECKPOINT_NAME, &there, &view->checkpoint);
    bool copy_good = check_checkpoint_file(view, CHECKPOINT_COPY_NAME, &copy_there, &copy);
    if (!good && copy_good) {
        view->checkpoint = copy;
    } else {
        checkpoint_deinit(&copy);
    }
    if (!there && !copy_there) {
        check_tell_file(view->check, CHECK_NOTE, "no-checkpoint", CHECKPOINT_NAME, false,
                        "there is no checkpoint: the next start reads all events");
    }
}

/* So that the next start looks closely at what it would else believe. */
static enum err save_distrust(struct catalogue_view *view, struct reason *reason)
{
    if (!view->check->distrust_clean || !view->checkpoint.clean) {
        return ERR_NONE;
    }
    view->checkpoint.clean = false;
    return checkpoint_save_both(&view->checkpoint, view->check->files,
                                view->check->options->data_dir, reason);
}

static int compare_topics(const void *a, const void *b)
{
    return strcmp(((const struct listed_topic *)a)->name, ((const struct listed_topic *)b)->name);
}

static const struct listed_topic *find_topic(const struct catalogue_view *view, const char *name)
{
    struct listed_topic wanted = {.name = (char *)(uintptr_t)name};
    return view->topics.count == 0 ? NULL
                                   : bsearch(&wanted, view->topics.items, view->topics.count,
                                             sizeof wanted, compare_topics);
}

static int compare_starts(const void *a, const void *b)
{
    int32_t left = ((const struct catalogue_db_log_start *)a)->partition;
    int32_t right = ((const struct catalogue_db_log_start *)b)->partition;
    return (left > right) - (left < right);
}

/* Up to where DeleteRecords deleted. */
static int64_t deleted_to(const struct listed_topic *topic, int32_t partition)
{
    struct catalogue_db_log_start wanted = {.partition = partition};
    const struct catalogue_db_log_start *found =
        topic->starts.count == 0 ? NULL
                                 : bsearch(&wanted, topic->starts.items, topic->starts.count,
                                           sizeof wanted, compare_starts);
    return found == NULL ? 0 : found->start;
}

static bool is_wanted(const struct check_options *options, const char *topic, int32_t partition)
{
    return (options->topic == NULL || strcmp(options->topic, topic) == 0) &&
           (options->partition < 0 || options->partition == partition);
}

static const struct tree_partition *find_directory(const struct tree *tree, const char *topic,
                                                   int32_t partition)
{
    size_t low = 0;
    size_t high = tree->partitions.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct tree_partition *at = &tree->partitions.items[middle];
        int order = strcmp(at->topic, topic);
        order = order != 0 ? order : (at->partition > partition) - (at->partition < partition);
        if (order == 0) {
            return at;
        }
        *(order < 0 ? &low : &high) = order < 0 ? middle + 1 : middle;
    }
    return NULL;
}

/* Topics without directories. */
static void check_topic_directories(struct catalogue_view *view, const struct tree *tree)
{
    for (size_t i = 0; i < view->topics.count; i++) {
        const struct listed_topic *topic = &view->topics.items[i];
        for (int32_t p = 0; p < topic->partition_count && !topic->deleting; p++) {
            const struct log_state *state = checkpoint_find(&view->checkpoint, &topic->id, p);
            if (!is_wanted(view->check->options, topic->name, p) ||
                find_directory(tree, topic->name, p) != NULL) {
                continue;
            }
            bool lost = state != NULL && state->end_offset > state->start_offset;
            char *name = mem_sprintf("topics/%s-%d", topic->name, (int)p);
            check_tell_file(view->check, lost ? CHECK_DAMAGE : CHECK_NOTE, "missing-directory",
                            name, false,
                            lost ? "the directory of a partition that had events is missing"
                                 : "the directory is missing; the next start makes it, empty");
            free(name);
        }
    }
}

static enum err check_one(struct catalogue_view *view, const struct tree_partition *partition,
                          struct reason *reason)
{
    struct check_known known = {.state = NULL};
    const struct listed_topic *topic = find_topic(view, partition->topic);
    if (topic != NULL && partition->partition < topic->partition_count) {
        known.state = checkpoint_find(&view->checkpoint, &topic->id, partition->partition);
        known.compacted = topic->compacted;
        known.deleted_to = deleted_to(topic, partition->partition);
    } else if (view->known) {
        char *name = mem_sprintf("topics/%s-%d", partition->topic, (int)partition->partition);
        check_tell_file(view->check, CHECK_NOTE, "unknown-directory", name, false,
                        "the catalogue has no such partition: a start leaves it alone");
        free(name);
    }
    return check_partition(view->check, partition, &known, reason);
}

static int64_t segment_bytes(const struct tree_partition *partition)
{
    struct tree_files files;
    int64_t bytes = 0;
    if (tree_list_files(partition->dir, &files, NULL) == ERR_NONE) {
        for (size_t i = 0; i < files.count; i++) {
            struct stat status;
            char *path = mem_sprintf("%s/%s", partition->dir, files.items[i].name);
            if (files.items[i].kind == TREE_SEGMENT && stat(path, &status) == 0) {
                bytes += status.st_size;
            }
            free(path);
        }
    }
    tree_files_deinit(&files);
    return bytes;
}

static enum err check_tree(struct catalogue_view *view, const struct tree *tree,
                           struct reason *reason)
{
    struct check *check = view->check;
    const struct check_options *options = check->options;
    bool any = false;
    for (size_t i = 0; i < tree->partitions.count; i++) {
        if (is_wanted(options, tree->partitions.items[i].topic,
                      tree->partitions.items[i].partition)) {
            check->total_bytes += segment_bytes(&tree->partitions.items[i]);
            any = true;
        }
    }
    if (!any && options->topic != NULL && find_topic(view, options->topic) == NULL) {
        return reason_fail(reason, ERR_NOT_FOUND, "%s has no topic '%s'", options->data_dir,
                           options->topic);
    }
    if (!any && options->partition >= 0) {
        return reason_fail(reason, ERR_NOT_FOUND, "%s has no such partition %lld",
                           options->data_dir, (long long)options->partition);
    }
    check_topic_directories(view, tree);
    enum err err = ERR_NONE;
    for (size_t i = 0; i < tree->partitions.count && err == ERR_NONE; i++) {
        if (is_wanted(options, tree->partitions.items[i].topic,
                      tree->partitions.items[i].partition)) {
            err = check_one(view, &tree->partitions.items[i], reason);
        }
    }
    return err;
}

static enum err check_locked(struct check *check, const struct tree *tree, struct reason *reason)
{
    struct catalogue_view view = {.check = check};
    enum err err = check_catalogue(&view, reason);
    if (err == ERR_NONE) {
        if (view.topics.count > 1) {
            qsort(view.topics.items, view.topics.count, sizeof *view.topics.items, compare_topics);
        }
        check_checkpoint(&view);
        err = check_tree(&view, tree, reason);
    }
    if (err == ERR_NONE) {
        err = save_distrust(&view, reason);
    }
    for (size_t i = 0; i < view.topics.count; i++) {
        free(view.topics.items[i].name);
        vec_deinit(&view.topics.items[i].starts);
    }
    vec_deinit(&view.topics);
    checkpoint_deinit(&view.checkpoint);
    return err;
}

enum err check_run(const struct check_options *options, struct check_totals *totals,
                   struct reason *reason)
{
    *totals = (struct check_totals){0};
    struct check check = {.options = options, .totals = totals, .files = file_ops_system()};
    struct tree tree;
    int dir_fd;
    int lock_fd;
    int made;
    enum err err = tree_list(options->data_dir, &tree, reason);
    if (err == ERR_NONE) {
        err = data_dir_open(check.files, options->data_dir, &dir_fd, &lock_fd, &made, reason);
    }
    if (err == ERR_NONE) {
        tree_deinit(&tree); /* a server may have been at work until now */
        err = tree_list(options->data_dir, &tree, reason);
        if (err == ERR_NONE) {
            err = check_locked(&check, &tree, reason);
        }
        close(dir_fd);
        close(lock_fd);
    }
    tree_deinit(&tree);
    return err;
}
