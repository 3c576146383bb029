#ifndef TIDINGS_TOPIC_DATA_DIR_H
#define TIDINGS_TOPIC_DATA_DIR_H

#include "base/err.h"
#include "base/file.h"

/*
 * Creates the data directory when it is missing and locks it for this process until *lock_fd is
 * closed. ERR_LOCKED when another process holds it; the reason says which. *dir_fd: a descriptor on
 * the directory.
 */
CHECKED enum err data_dir_open(const struct file_ops *files, const char *path, int *dir_fd,
                               int *lock_fd, struct reason *reason);

#endif
