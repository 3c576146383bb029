#ifndef TESTS_FAULTS_FAULT_FILES_H
#define TESTS_FAULTS_FAULT_FILES_H

#include "base/file.h"
#include "base/random.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * A file layer over real files in one directory that knows what is on disk for sure: the content
 * of each file at its last sync and the names at the last sync of the directory. A crash keeps
 * that, and of what came after it any part: of the changes of names those up to some moment, as a
 * journal leaves them, or any of them, if segments come and go in order. Calls fail by chance. One
 * thread; same seed, same run.
 */
enum {
    FAULT_FILES_MAX = 512, /* files that are there, or may be after a crash */
    FAULT_NAMES_MAX = 512, /* changes of names between two syncs of the directory */
    FAULT_NAME_BYTES = 64,
};

/* Chances in a thousand. */
struct fault_chances {
    int short_write;
    int write_error; /* EIO after a part was written */
    int write_full;  /* ENOSPC, likewise */
    int sync_error;
    int truncate_error;
    int create_error;
    int rename_error;
    int dir_sync_error;
};

struct fault_file {
    int fd;           /* our own, to see the content after an unlink */
    uint8_t *durable; /* content at the last sync */
    size_t durable_bytes;
};

struct fault_name {
    char name[FAULT_NAME_BYTES];
    int file;
};

/* A change of names, whole or not there at all. */
struct fault_change {
    struct fault_name now;      /* this name means the file now; file -1: it is gone */
    char was[FAULT_NAME_BYTES]; /* a rename: this name is gone; else empty */
};

struct fault_files {
    struct file_ops ops;
    struct random *random;
    struct fault_chances chances;
    long left; /* so many changes, then every one fails until the crash; -1: for ever */
    char dir[128];
    struct fault_file files[FAULT_FILES_MAX];
    int file_count;
    struct fault_name names[FAULT_FILES_MAX]; /* as the program sees them */
    int name_count;
    struct fault_name durable[FAULT_FILES_MAX]; /* as they are on disk for sure */
    int durable_count;
    struct fault_change pending[FAULT_NAMES_MAX]; /* changes since, in order */
    int pending_count;
    int log_reads; /* reads of .log files */
};

/* dir exists and is empty. */
void fault_files_init(struct fault_files *files, const char *dir, struct random *random);
void fault_files_deinit(struct fault_files *files);

/* How a crash treats what was not synced. */
enum fault_crash {
    FAULT_CRASH_PROCESS, /* only the process dies: all stays */
    FAULT_CRASH_NAMES,   /* likewise, but of the changes of names any are lost */
    FAULT_CRASH_LOSE,    /* the machine dies: all that was not synced is lost */
    FAULT_CRASH_TEAR,    /* any prefix of it is there, perhaps with rubbish at its end */
    FAULT_CRASH_BLOCKS,  /* whole 4 KiB blocks of it are zero while later ones are there */
    FAULT_CRASH_HOLES,   /* smaller parts of it are zero, as no file system leaves them */
};

/* Writes what the crash leaves to new_dir (exists and is empty), all of it durable there. */
void fault_files_crash(struct fault_files *files, enum fault_crash how, const char *new_dir);

/* Takes the files found in dir as durable. */
void fault_files_adopt(struct fault_files *files);

#endif
