#ifndef TIDINGS_DATADIR_BACKUP_INTERNAL_H
#define TIDINGS_DATADIR_BACKUP_INTERNAL_H

#include "datadir/copy.h"
#include "datadir/manifest.h"

/* Private to backup.c, backup_dir.c, backup_verify.c, restore.c. */

/* DIR/manifest. ERR_NOT_FOUND: there is none. */
CHECKED enum err backup_load_manifest(const char *dir, struct manifest *manifest,
                                      struct reason *reason);

/* Makes DIR when it is missing, refuses one that holds something else, and locks it. */
CHECKED enum err backup_open_dir(const char *dir, int *lock_fd, struct reason *reason);

/* DIR/progress as a sorted list, the last line of each path. */
CHECKED enum err backup_load_journal(const char *dir, struct manifest *journal,
                                     struct reason *reason);

/* Adds lines. They count once they are there: what they name is durable already. */
CHECKED enum err backup_append_journal(const char *dir, struct slice lines, struct reason *reason);

/* DIR/data/<stored name>. Free it. */
char *backup_stored_path(const char *dir, const struct manifest_file *file);

/* Removes what the manifest does not name below DIR/data. */
CHECKED enum err backup_remove_unnamed(const char *dir, const struct manifest *manifest,
                                       struct reason *reason);

#endif
