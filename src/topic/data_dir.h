#ifndef TIDINGS_TOPIC_DATA_DIR_H
#define TIDINGS_TOPIC_DATA_DIR_H

#include "base/err.h"
#include "base/file.h"

#define DATA_DIR_CATALOGUE "tidings.db"

/*
 * Creates the data directory when it is missing and locks it for this process until *dir_fd and
 * *lock_fd are closed. ERR_LOCKED when another process holds it; the reason says which. *dir_fd: a
 * descriptor on the directory. One that holds a catalogue or nothing is closed to other users.
 * *made: how many directories were created, for data_dir_undo; on failure they are gone again.
 */
CHECKED enum err data_dir_open(const struct file_ops *files, const char *path, int *dir_fd,
                               int *lock_fd, int *made, struct reason *reason);

/* Removes what data_dir_open created, as far as it holds nothing else. For a start that failed. */
void data_dir_undo(const struct file_ops *files, const char *path, int made);

#endif
