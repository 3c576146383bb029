#ifndef TIDINGS_TOPIC_CATALOGUE_H
#define TIDINGS_TOPIC_CATALOGUE_H

#include "base/clock.h"
#include "base/err.h"
#include "base/settings.h"
#include "log/flush.h"
#include "log/log.h"
#include "security/acl.h"
#include "security/users.h"
#include "topic/topic.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * All topics of a data directory: which there are (SQLite, DATA/tidings.db), their settings, their
 * logs (DATA/topics/<topic>-<partition>/), and the checkpoint that makes the next start quick.
 *
 * Reading functions may be called from any thread and do not wait for the disk. Changing functions
 * write to SQLite with full sync and belong on a worker thread; they are serialised by change_lock.
 * Locks: change_lock (SQLite and one change at a time), then table_lock (the hashes; short).
 */
struct catalogue;

struct catalogue_config {
    const char *data_dir;
    const struct overrides *topic_defaults; /* the server's settings under topic names; copied */
    struct log_env log_env;
    int64_t producer_expiration_ms; /* producer.id.expiration.ms; 0: the default */
    int32_t max_partitions;         /* of all topics, checked when some are added; 0: no limit */
    unsigned open_threads;          /* logs opened at once at start */
    partition_advanced *advanced;
    void *advanced_context;
};

struct catalogue_recovery {
    int32_t topics;
    int32_t partitions;
    int64_t scanned_bytes;
    int64_t truncated_bytes;
    int32_t damaged_batches;
    int32_t offline_partitions; /* could not be opened: their clients get an error */
    bool was_clean;
};

/*
 * Opens or creates everything below data_dir, which exists and is locked by the caller. Finishes
 * deletions that a crash cut short. ERR_UNSUPPORTED for a newer format. Main thread, at start.
 */
CHECKED enum err catalogue_open(const struct catalogue_config *config, struct catalogue **out,
                                struct catalogue_recovery *recovery, struct reason *reason);

/*
 * From now on topics are not created, deleted or changed: ERR_CLOSED. One request may ask for
 * 100,000 such changes, each with syncs of its own; a stop waits for the one that is being made.
 * Any thread.
 */
void catalogue_end_changes(struct catalogue *catalogue);

/* Closes all logs and writes a clean checkpoint. No other thread uses the catalogue any more. */
CHECKED enum err catalogue_close(struct catalogue *catalogue, struct reason *reason);

/* Look-ups give a reference (topic_unref) or NULL. */
struct topic *catalogue_find(struct catalogue *catalogue, struct slice name);
struct topic *catalogue_find_id(struct catalogue *catalogue, const struct topic_id *id);

/* Topics sorted by name, as of one moment. It never changes, and holds a reference to each. */
struct topic_list {
    _Atomic int32_t refs;
    size_t count;
    struct topic *items[];
};

/*
 * A reference to the list of all topics. The same one for all who ask, until a topic comes or goes;
 * who asks first then makes it anew: 1 ms for 2,000 topics, 8 ms for 10,000. Any thread; one that
 * must not take so long may not ask.
 */
struct topic_list *catalogue_list(struct catalogue *catalogue);

/* Any thread; the last one lets go of the topics. */
void topic_list_unref(struct topic_list *list);

/* Another number after each change of which topics there are and how many partitions they have;
 * never 0. Read before a look-up, it tells later whether to look again. Any thread, no lock. */
uint64_t catalogue_version(const struct catalogue *catalogue);

struct topic_creation {
    struct slice name;
    int32_t partition_count;
    struct overrides overrides;
    bool internal;
    bool validate_only;
};

/*
 * Creates the topic durably: when it returns ERR_NONE, the topic outlives a crash. *out (may be
 * NULL) gets a reference (NULL for validate_only). ERR_EXISTS, ERR_INVALID (name, count: reason
 * says which), ERR_CONFIG, ERR_LIMIT (max_partitions), ERR_IO.
 */
CHECKED enum err catalogue_create(struct catalogue *catalogue,
                                  const struct topic_creation *creation, struct topic **out,
                                  struct reason *reason);

/* Deletes durably: events and settings are gone, also after a crash. Works on a full disk, as does
 * catalogue_delete_records, and a change of settings that shortens retention. ERR_NOT_FOUND;
 * ERR_TIMEOUT while partitions are being added. */
CHECKED enum err catalogue_delete(struct catalogue *catalogue, struct topic *topic,
                                  struct reason *reason);

/* Grows to `total` partitions. ERR_INVALID when that is not more than there are; ERR_NOT_FOUND;
 * ERR_LIMIT; ERR_EXISTS when a directory is in the way; ERR_TIMEOUT while others are being added.
 */
CHECKED enum err catalogue_add_partitions(struct catalogue *catalogue, struct topic *topic,
                                          int32_t total, bool validate_only, struct reason *reason);

/*
 * The same three in pieces, so that others have their turns, and their changes, in between: begin,
 * then step while it says that there is more, then end with what became of it. Begin gives the
 * errors that are found at once, and *out is NULL then. The name of a topic on its way is taken
 * (ERR_EXISTS). A change that is never ended blocks its topic; a crash leaves what a start mends.
 */
struct catalogue_change;

/* Of catalogue_create. */
CHECKED enum err catalogue_create_begin(struct catalogue *catalogue,
                                        const struct topic_creation *creation,
                                        struct catalogue_change **out, struct reason *reason);
/* Of catalogue_delete. */
CHECKED enum err catalogue_delete_begin(struct catalogue *catalogue, struct topic *topic,
                                        struct catalogue_change **out, struct reason *reason);
/* Of catalogue_add_partitions. */
CHECKED enum err catalogue_grow_begin(struct catalogue *catalogue, struct topic *topic,
                                      int32_t total, bool validate_only,
                                      struct catalogue_change **out, struct reason *reason);

/* A bounded piece of work; false: all is done. */
bool catalogue_change_step(struct catalogue_change *change);

/* Frees the change. *out (may be NULL): the topic, as of catalogue_create. */
CHECKED enum err catalogue_change_end(struct catalogue_change *change, struct topic **out,
                                      struct reason *reason);

/* Changes a copy of the topic's own settings; an error is the caller's. */
typedef enum err catalogue_edit(void *context, struct overrides *overrides, struct reason *reason);

/*
 * Edits the topic's own settings: no other change comes in between. ERR_NOT_FOUND, ERR_CONFIG and
 * what edit returns; nothing changes then.
 */
CHECKED enum err catalogue_edit_overrides(struct catalogue *catalogue, struct topic *topic,
                                          catalogue_edit *edit, void *context, bool validate_only,
                                          struct reason *reason);

/* Replaces the topic's own settings. ERR_NOT_FOUND, ERR_CONFIG; nothing changes then. */
CHECKED enum err catalogue_set_overrides(struct catalogue *catalogue, struct topic *topic,
                                         const struct overrides *overrides, bool validate_only,
                                         struct reason *reason);

/* A copy of the topic's own settings (overrides_deinit it). Any thread. */
void catalogue_overrides(struct catalogue *catalogue, struct topic *topic, struct overrides *out);
const struct overrides *catalogue_topic_defaults(const struct catalogue *catalogue);

/* A copy of a consumer group's own settings, empty when it has none (overrides_deinit it); whether
 * there is such a group is not looked at. Any thread. */
void catalogue_group_overrides(struct catalogue *catalogue, struct slice group,
                               struct overrides *out);

/* The ids of the groups that have settings of their own, in no order; the caller frees each and the
 * array. Any thread. */
char **catalogue_groups_with_settings(struct catalogue *catalogue, size_t *count);

/* Edits them durably: no other change comes in between. ERR_INVALID for a group id that cannot
 * be, ERR_IO, and what edit returns; nothing changes then. */
CHECKED enum err catalogue_edit_group_overrides(struct catalogue *catalogue, struct slice group,
                                                catalogue_edit *edit, void *context,
                                                bool validate_only, struct reason *reason);

/* Visits all rules of access as they are stored. ERR_CORRUPT, ERR_IO. */
CHECKED enum err catalogue_each_acl(struct catalogue *catalogue,
                                    void (*each)(void *context, const struct acl_rule *rule),
                                    void *context, struct reason *reason);

/* Adds rules that are not there yet and takes others away that are, durably, all of them or none.
 * ERR_IO, ERR_NO_SPACE. */
CHECKED enum err catalogue_change_acls(struct catalogue *catalogue, const struct acl_rule *add,
                                       size_t add_count, const struct acl_rule *remove,
                                       size_t remove_count, struct reason *reason);

/* Visits the credentials of all users as they are stored. ERR_CORRUPT, ERR_IO. */
CHECKED enum err catalogue_each_user(struct catalogue *catalogue, user_visitor *each, void *context,
                                     struct reason *reason);

/* Changes credentials durably, all of them or none, then in the table. Of one credential the last
 * change counts. Between users_begin_change and its end. ERR_IO, ERR_NO_SPACE. */
CHECKED enum err catalogue_change_users(struct catalogue *catalogue, struct users *users,
                                        const struct user_change *changes, size_t count,
                                        struct reason *reason);

/* What only this server knows (scram_pretend): made once for a data directory. ERR_CORRUPT, ERR_IO.
 */
CHECKED enum err catalogue_user_secret(struct catalogue *catalogue, uint8_t secret[32],
                                       struct reason *reason);

/* DeleteRecords: makes the new start durable, then cuts. -1 means the high watermark. *low is the
 * new log start. ERR_OUT_OF_RANGE. */
CHECKED enum err catalogue_delete_records(struct catalogue *catalogue, struct partition *partition,
                                          int64_t before_offset, int64_t *low,
                                          struct reason *reason);

/* A producer id that was never given out before (KIP-98). Reserves blocks durably. */
CHECKED enum err catalogue_next_producer_id(struct catalogue *catalogue, int64_t *producer_id,
                                            struct reason *reason);

/* Rolls by time, applies retention, writes a checkpoint. For a periodic worker task. */
void catalogue_maintain(struct catalogue *catalogue);

/* Writes a checkpoint, and makes the room for deletions anew when that is due. Worker thread. */
void catalogue_checkpoint(struct catalogue *catalogue);

/* What a snapshot holds, and how long the appends waited for it. */
struct catalogue_snapshot {
    int32_t topics;
    int32_t partitions;
    int64_t segments;
    int64_t bytes;     /* of the segments */
    int64_t cut_ms;    /* wall clock */
    int64_t frozen_us; /* no append anywhere for so long */
};

/*
 * Makes a snapshot folder (snapshot.h) in `dir`, an empty directory of the data directory's file
 * system: one state of all logs and the catalogue, see catalogue_snapshot.c. Appends wait for
 * frozen_us; changes of topics until the catalogue is copied; retention, compaction and deletions
 * until all is linked. On an error the caller removes what is there. Any thread that may block.
 */
CHECKED enum err catalogue_snapshot(struct catalogue *catalogue, const char *dir,
                                    struct catalogue_snapshot *out, struct reason *reason);

/* Whether enough was written since the last checkpoint for another one, as it bounds what a start
 * after a crash scans, or the room that is kept for deletions (space.h) is to be made anew. Any
 * thread; cheap. */
bool catalogue_checkpoint_due(struct catalogue *catalogue);

/* The cluster id of the data directory: 22 characters of base64url. */
const char *catalogue_cluster_id(const struct catalogue *catalogue);

#endif
