#include "datadir/backup_source.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "datadir/control_client.h"
#include "datadir/tree.h"
#include "topic/catalogue_db.h"
#include "topic/checkpoint.h"
#include "topic/data_dir.h"
#include "topic/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LIST_MAX_BYTES = 1 << 30 };

/* ---- a running server ---- */

static enum err ask_snapshot(struct backup_source *source, const char *data_dir,
                             const struct control_wait *wait, struct reason *reason)
{
    json_t *answer;
    enum err err = control_client_ask(source->control_fd, "snapshot\n", wait, &answer, reason);
    if (err != ERR_NONE) {
        return err;
    }
    const char *id = json_string_value(json_object_get(answer, "snapshot"));
    const char *cluster = json_string_value(json_object_get(answer, "cluster_id"));
    if (id == NULL || cluster == NULL || strchr(id, '/') != NULL) {
        err = reason_fail(reason, ERR_INVALID, "the server's answer names no snapshot");
    } else {
        source->root = mem_sprintf("%s/snapshots/%s", data_dir, id);
        snprintf(source->cluster_id, sizeof source->cluster_id, "%s", cluster);
        source->cut_ms = json_integer_value(json_object_get(answer, "cut_ms"));
        source->waited_us = json_integer_value(json_object_get(answer, "appends_waited_us"));
    }
    json_decref(answer);
    return err;
}

/* ---- a stopped directory ---- */

/* The same as the server does: links, a copy of the catalogue, a checkpoint. */
struct stopped {
    const char *data_dir;
    struct snapshot_writer *list;
};

static enum err link_partition(struct stopped *stopped, const struct tree_partition *partition,
                               struct reason *reason)
{
    struct tree_files files;
    const char *name = strrchr(partition->dir, '/') + 1;
    enum err err = tree_list_files(partition->dir, &files, reason);
    if (err == ERR_NONE) {
        err = snapshot_begin_log(stopped->list, name, reason);
    }
    for (size_t i = 0; i < files.count && err == ERR_NONE; i++) {
        if (files.items[i].kind == TREE_SEGMENT || snapshot_is_sidecar(files.items[i].name)) {
            err =
                snapshot_link(stopped->list, partition->dir, name, files.items[i].name, -1, reason);
        }
    }
    tree_files_deinit(&files);
    return err;
}

static enum err add_checkpoint(struct stopped *stopped, struct reason *reason)
{
    struct checkpoint checkpoint;
    bool known = checkpoint_read_any(&checkpoint, file_ops_system(), stopped->data_dir);
    for (size_t i = 0; i < checkpoint.entries.count; i++) {
        const struct log_state *state = &checkpoint.entries.items[i].state;
        checkpoint.entries.items[i].state = snapshot_state(state->start_offset, state->end_offset);
    }
    checkpoint.clean = false;
    enum err err = known ? snapshot_add_checkpoint(stopped->list, &checkpoint, reason) : ERR_NONE;
    checkpoint_deinit(&checkpoint);
    return err;
}

static enum err copy_catalogue(struct backup_source *source, const char *data_dir,
                               struct reason *reason)
{
    struct catalogue_db *db;
    char *to = mem_sprintf("%s/tidings.db", source->root);
    char *id = NULL;
    enum err err = catalogue_db_inspect(data_dir, NULL, NULL, &db, reason);
    if (err == ERR_NONE) {
        err = catalogue_db_copy(db, to, reason);
        if (err == ERR_NONE) {
            err = catalogue_db_get(db, "cluster_id", &id, reason);
        }
        catalogue_db_close(db);
    }
    snprintf(source->cluster_id, sizeof source->cluster_id, "%s", id != NULL ? id : "-");
    free(id);
    free(to);
    return err;
}

static enum err make_stopped(struct backup_source *source, const char *data_dir,
                             struct reason *reason)
{
    const struct file_ops *files = file_ops_system();
    struct tree tree = {0};
    struct stopped stopped = {.data_dir = data_dir};
    char *snapshots = mem_sprintf("%s/snapshots", data_dir);
    source->root = mem_sprintf("%s/stopped", snapshots);
    source->cut_ms = clock_wall_ms(clock_system());
    enum err err = file_remove_tree(files, snapshots, reason); /* of a killed server or backup */
    if (err == ERR_NONE) {
        err = file_make_dir(files, snapshots, reason);
    }
    if (err == ERR_NONE) {
        err = file_make_dir(files, source->root, reason);
    }
    if (err == ERR_NONE) {
        err = copy_catalogue(source, data_dir, reason);
    }
    if (err == ERR_NONE) {
        err = snapshot_writer_new(files, source->root, &stopped.list, reason);
    }
    if (err == ERR_NONE) {
        err = tree_list(data_dir, &tree, reason);
    }
    for (size_t i = 0; i < tree.partitions.count && err == ERR_NONE; i++) {
        err = link_partition(&stopped, &tree.partitions.items[i], reason);
    }
    if (err == ERR_NONE) {
        err = add_checkpoint(&stopped, reason);
    }
    if (err == ERR_NONE) {
        err = snapshot_finish(stopped.list, reason);
    }
    snapshot_writer_free(stopped.list);
    tree_deinit(&tree);
    free(snapshots);
    return err;
}

/* ---- both ---- */

static enum err take_list(struct backup_source *source, char *text, struct reason *reason)
{
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        int64_t size;
        int used = 0;
        if (sscanf(line, "%" SCNd64 " %n", &size, &used) != 1 || used == 0 || size < 0 ||
            __builtin_add_overflow(source->total_bytes, size, &source->total_bytes)) {
            return reason_fail(reason, ERR_CORRUPT, "the snapshot's list of files is damaged");
        }
        vec_push(&source->files,
                 (struct backup_source_file){.path = mem_strdup(line + used), .size = size});
    }
    return ERR_NONE;
}

static enum err read_list(struct backup_source *source, struct reason *reason)
{
    char *text;
    char *path = mem_sprintf("%s/files", source->root);
    enum err err = file_load_text(file_ops_system(), path, LIST_MAX_BYTES, &text, reason);
    free(path);
    if (err == ERR_NONE) {
        err = take_list(source, text, reason);
        free(text);
    }
    return err;
}

static enum err take_stopped(struct backup_source *source, const char *data_dir,
                             struct reason *reason)
{
    int dir_fd;
    int made;
    struct reason why;
    enum err err =
        data_dir_open(file_ops_system(), data_dir, &dir_fd, &source->lock_fd, &made, &why);
    if (err != ERR_NONE) {
        source->lock_fd = -1;
        return reason_fail(reason, err, "no control socket, and %s", why.text);
    }
    close(source->dir_fd);
    source->dir_fd = dir_fd; /* it holds the lock */
    return make_stopped(source, data_dir, reason);
}

enum err backup_source_open(const char *data_dir, const struct control_wait *wait,
                            struct backup_source *source, struct reason *reason)
{
    *source = (struct backup_source){.control_fd = -1, .dir_fd = -1, .lock_fd = -1};
    char *topics = mem_sprintf("%s/topics", data_dir);
    bool there = file_exists(topics);
    free(topics);
    if (!there) {
        return reason_fail(reason, ERR_NOT_FOUND,
                           "%s is no data directory: it has no folder 'topics'", data_dir);
    }
    source->dir_fd = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (source->dir_fd < 0) {
        return reason_errno(reason, "cannot open %s", data_dir);
    }
    enum err err = control_client_connect(source->dir_fd, wait, &source->control_fd, reason);
    if (err == ERR_NONE) {
        err = source->control_fd >= 0 ? ask_snapshot(source, data_dir, wait, reason)
                                      : take_stopped(source, data_dir, reason);
    }
    return err == ERR_NONE ? read_list(source, reason) : err;
}

void backup_source_close(struct backup_source *source)
{
    struct reason why;
    if (source->control_fd >= 0) {
        close(source->control_fd); /* the server removes the snapshot */
    } else if (source->lock_fd >= 0 && source->root != NULL) {
        (void)!file_remove_tree(file_ops_system(), source->root, &why); /* or the next start */
        char *parent =
            mem_strndup(source->root, (size_t)(strrchr(source->root, '/') - source->root));
        rmdir(parent);
        free(parent);
    }
    for (size_t i = 0; i < source->files.count; i++) {
        free(source->files.items[i].path);
    }
    vec_deinit(&source->files);
    free(source->root);
    if (source->dir_fd >= 0) {
        close(source->dir_fd);
    }
    if (source->lock_fd >= 0) {
        close(source->lock_fd);
    }
}
