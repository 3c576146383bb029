#ifndef TIDINGS_TOPIC_CATALOGUE_DB_H
#define TIDINGS_TOPIC_CATALOGUE_DB_H

#include "base/err.h"
#include "base/settings.h"
#include "base/vec.h"
#include "security/acl.h"
#include "security/users.h"
#include "topic/topic.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The catalogue's tables in DATA/tidings.db (SQLite, WAL, synchronous=FULL), and the same once more
 * in DATA/tidings-copy.db: when a function here returns ERR_NONE, the change is on disk.
 * docs/formats.md lists the tables. One thread at a time.
 *
 * Each row has a checksum, and the rows together (catalogue_rows.h). What is read was compared with
 * them when the files were opened.
 */
struct catalogue_db;

/*
 * Opens the catalogue of a data directory; makes it in one that has no topics. Of the two files the
 * newest that is good is taken, and the other one made like it: a bad DATA/tidings.db is kept
 * aside, with a warning. One of format 1 is taken over. ERR_CORRUPT when neither can be believed,
 * or both are missing beside topics; ERR_UNSUPPORTED when a newer program wrote them: nothing is
 * changed then. synced false: what is changed is not synced, for a directory that ends with its
 * process.
 */
CHECKED enum err catalogue_db_open(const char *data_dir, bool synced, struct catalogue_db **out,
                                   struct reason *reason);
void catalogue_db_close(struct catalogue_db *db);

/* What is wrong with one of the files. harmless: the next start makes it anew from the other. */
typedef void catalogue_db_complaint(void *context, const char *file, bool harmless,
                                    const char *text);

/*
 * Looks at both files as catalogue_db_open does, and at all pages by SQLite's integrity check, and
 * changes nothing. each (may be NULL) hears all that is wrong. *out: to read what a start would
 * take; the same errors.
 */
CHECKED enum err catalogue_db_inspect(const char *data_dir, catalogue_db_complaint *each,
                                      void *context, struct catalogue_db **out,
                                      struct reason *reason);

/* Writes a copy, synced, as one transaction sees it, to a file that does not exist. */
CHECKED enum err catalogue_db_copy(struct catalogue_db *db, const char *path,
                                   struct reason *reason);

/* A row of the topic table as loaded; the callee copies what it keeps. */
struct catalogue_db_topic {
    struct topic_id id;
    struct slice name;
    int32_t partition_count;
    bool internal;
    bool deleting;      /* a deletion was begun and not finished: said in both places */
    bool half_deleting; /* said in one of them only, which is not to be believed */
};

/* Visits all topics until `each` fails; its error is returned then. ERR_CORRUPT at one whose name
 * or number of partitions cannot be. */
CHECKED enum err catalogue_db_each_topic(struct catalogue_db *db,
                                         enum err (*each)(void *context,
                                                          const struct catalogue_db_topic *row,
                                                          struct reason *reason),
                                         void *context, struct reason *reason);
/* Adds the topic's own settings to *out. ERR_IO. */
CHECKED enum err catalogue_db_load_overrides(struct catalogue_db *db, const struct topic_id *id,
                                             struct overrides *out, struct reason *reason);

/* Changes of one topic. Each is one transaction of SQLite, on disk when it returns ERR_NONE;
 * without effect otherwise. ERR_IO, ERR_NO_SPACE; ERR_NOT_FOUND without such a topic. Also ERR_IO,
 * here and below, once somebody removed or replaced the file. */
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

/* All rules of access. A row that no acl_check lets pass is ERR_CORRUPT. */
CHECKED enum err catalogue_db_each_acl(struct catalogue_db *db,
                                       void (*each)(void *context, const struct acl_rule *rule),
                                       void *context, struct reason *reason);
/* Adds so many rules, which are not there yet, and takes others away, which are. */
CHECKED enum err catalogue_db_change_acls(struct catalogue_db *db, const struct acl_rule *add,
                                          size_t add_count, const struct acl_rule *remove,
                                          size_t remove_count, struct reason *reason);

/* All users' credentials. One that cannot be is ERR_CORRUPT. */
CHECKED enum err catalogue_db_each_user(struct catalogue_db *db, user_visitor *each, void *context,
                                        struct reason *reason);
/* Makes the changes, all of them or none. */
CHECKED enum err catalogue_db_change_users(struct catalogue_db *db,
                                           const struct user_change *changes, size_t count,
                                           struct reason *reason);

/* A log start that DeleteRecords set. */
struct catalogue_db_log_start {
    int32_t partition;
    int64_t start;
};

struct catalogue_db_log_starts {
    VEC_FIELDS(struct catalogue_db_log_start);
};

/* Adds all of a topic to *out, by partition; vec_deinit it, also after an error. */
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
