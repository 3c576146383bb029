#ifndef TIDINGS_TOPIC_CATALOGUE_DB_H
#define TIDINGS_TOPIC_CATALOGUE_DB_H

#include "base/err.h"
#include "base/settings.h"
#include "base/vec.h"
#include "topic/topic.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The catalogue's tables in DATA/tidings.db (SQLite, WAL, synchronous=FULL): when a function here
 * returns ERR_NONE, the change is on disk. docs/formats.md lists the tables. One thread at a time.
 */
struct catalogue_db;

enum { CATALOGUE_DB_FORMAT = 1 };

/* Opens or creates. ERR_UNSUPPORTED when a newer program wrote the file. */
CHECKED enum err catalogue_db_open(const char *path, struct catalogue_db **out,
                                   struct reason *reason);
void catalogue_db_close(struct catalogue_db *db);

/* Writes a copy, synced, as one transaction sees it, to a file that does not exist. */
CHECKED enum err catalogue_db_copy(struct catalogue_db *db, const char *path,
                                   struct reason *reason);

/* SQLite's integrity check: each(context, text) for every complaint. */
CHECKED enum err catalogue_db_check(struct catalogue_db *db,
                                    void (*each)(void *context, const char *text), void *context,
                                    struct reason *reason);

/* A row of the topic table as loaded; the callee copies what it keeps. */
struct catalogue_db_topic {
    struct topic_id id;
    struct slice name;
    int32_t partition_count;
    bool internal;
    bool deleting; /* a deletion was begun and not finished */
};

/* Visits all topics until `each` fails; its error is returned then. */
CHECKED enum err catalogue_db_each_topic(struct catalogue_db *db,
                                         enum err (*each)(void *context,
                                                          const struct catalogue_db_topic *row,
                                                          struct reason *reason),
                                         void *context, struct reason *reason);
/* Adds the topic's own settings to *out. ERR_IO. */
CHECKED enum err catalogue_db_load_overrides(struct catalogue_db *db, const struct topic_id *id,
                                             struct overrides *out, struct reason *reason);

/* Changes of one topic. Each is one transaction of SQLite, on disk when it returns ERR_NONE;
 * without effect otherwise. ERR_IO, ERR_NO_SPACE. */
CHECKED enum err catalogue_db_insert(struct catalogue_db *db, const struct topic *topic,
                                     int32_t partition_count, const struct overrides *overrides,
                                     struct reason *reason);
CHECKED enum err catalogue_db_mark_deleting(struct catalogue_db *db, const struct topic_id *id,
                                            struct reason *reason);
CHECKED enum err catalogue_db_remove(struct catalogue_db *db, const struct topic_id *id,
                                     struct reason *reason);
CHECKED enum err catalogue_db_set_partitions(struct catalogue_db *db, const struct topic_id *id,
                                             int32_t count, struct reason *reason);
CHECKED enum err catalogue_db_set_overrides(struct catalogue_db *db, const struct topic_id *id,
                                            const struct overrides *overrides,
                                            struct reason *reason);

/* All settings of consumer groups. */
CHECKED enum err catalogue_db_each_group_setting(struct catalogue_db *db,
                                                 void (*each)(void *context, const char *group,
                                                              const char *name, const char *value),
                                                 void *context, struct reason *reason);
/* Replaces those of one group. */
CHECKED enum err catalogue_db_set_group_overrides(struct catalogue_db *db, const char *group,
                                                  const struct overrides *own,
                                                  struct reason *reason);

/* A log start that DeleteRecords set. */
struct catalogue_db_log_start {
    int32_t partition;
    int64_t start;
};

struct catalogue_db_log_starts {
    VEC_FIELDS(struct catalogue_db_log_start);
};

/* Adds all of a topic to *out; vec_deinit it, also after an error. */
CHECKED enum err catalogue_db_log_starts(struct catalogue_db *db, const struct topic_id *id,
                                         struct catalogue_db_log_starts *out,
                                         struct reason *reason);
CHECKED enum err catalogue_db_set_log_start(struct catalogue_db *db, const struct topic_id *id,
                                            int32_t partition, int64_t start,
                                            struct reason *reason);

/* Small values by name: the cluster id, the next producer id. *text is NULL when absent; free it.
 */
CHECKED enum err catalogue_db_get(struct catalogue_db *db, const char *name, char **text,
                                  struct reason *reason);
CHECKED enum err catalogue_db_put(struct catalogue_db *db, const char *name, const char *text,
                                  struct reason *reason);

#endif
