#ifndef TIDINGS_TOPIC_CATALOGUE_INTERNAL_H
#define TIDINGS_TOPIC_CATALOGUE_INTERNAL_H

#include "base/fair_lock.h"
#include "topic/catalogue.h"
#include "topic/catalogue_db.h"
#include "topic/catalogue_names.h"
#include "topic/checkpoint.h"

#include <pthread.h>

/* Shared by the catalogue's own files only. */
struct catalogue {
    char *data_dir;
    char *topics_dir;
    char cluster_id[23];
    struct overrides topic_defaults;
    struct log_env env;          /* with names_lock: */
    pthread_rwlock_t names_lock; /* see log_env; after change_lock, before table_lock */
    int64_t producer_expiration_ms;
    int32_t max_partitions;
    partition_advanced *advanced;
    void *advanced_context;

    struct fair_lock change_lock; /* guards all up to the next lock; held for a bounded piece */
    struct catalogue_change *pending;
    struct catalogue_names names; /* of topics that are there, that come, and that go */
    int64_t partitions;           /* that are there or come */
    int64_t coming;               /* of these: that come */
    struct catalogue_db *db;
    int64_t next_producer_id;
    int64_t producer_id_limit; /* ids below it are reserved on disk */
    _Atomic bool no_more_changes;

    pthread_mutex_t checkpoint_lock; /* one checkpoint at a time; guards: */
    int sync_fd;           /* for syncfs: its own, so that it sees every failed write-back */
    bool sync_failed;      /* no checkpoint can be believed any more */
    bool checkpoint_stale; /* a checkpoint was taken and not saved */
    _Atomic uint64_t checkpointed_bytes; /* flush_stats.bytes_synced when the last one began */

    pthread_rwlock_t table_lock; /* guards the hashes, the list and each topic's overrides */
    struct topic *by_name;
    struct topic *by_id;
    struct topic_list *list; /* of what is in the hashes; NULL: nobody asked since they changed */
    struct group_settings *groups;
    _Atomic uint64_t changes; /* of the hashes and of partition counts */
};

/* DATA/topics/<topic>-<partition>; free it. */
char *catalogue_log_dir(const struct catalogue *catalogue, const struct topic *topic,
                        int32_t partition);

/* ERR_CLOSED when nothing is to be changed any more. */
enum err catalogue_check_open(const struct catalogue *catalogue, struct reason *reason);

/* Under change_lock: whoever holds a topic may find it deleted, and its name given to another.
 * ERR_NOT_FOUND; ERR_CLOSED when nothing is to be changed any more. */
enum err catalogue_check_known(struct catalogue *catalogue, const struct topic *topic,
                               struct reason *reason);

/* The settings in force for a topic with these of its own. topic_config_deinit also on an error. */
enum err catalogue_build_config(const struct catalogue *catalogue, const struct overrides *own,
                                struct topic_config *config, struct reason *reason);

/* Whether a change that frees space, and ended with err, is to be tried once more: it found none
 * for its few bytes, and the room kept for it is given up now (space.h). Takes the reason back
 * then. */
bool catalogue_try_again(struct catalogue *catalogue, enum err err, struct reason *reason);

/* Opens the log of one partition. known may be NULL. */
enum err catalogue_open_partition(struct catalogue *catalogue, struct topic *topic, int32_t index,
                                  const struct log_config *config, const struct log_state *known,
                                  struct partition **out, struct log_recovery *recovery,
                                  struct reason *reason);

/*
 * Takes checkpoints of the logs that changed and saves all. maintain: retention and rolls first.
 * flusher NULL: nobody flushes any more. catalogue_upkeep.c
 */
void catalogue_keep(struct catalogue *catalogue, bool maintain, struct flusher *flusher);

/* Syncs the file system, after logs were opened. */
enum err catalogue_sync(struct catalogue *catalogue, struct reason *reason);

/* The partition in the place of one that could not be opened: its clients get an error. */
struct partition *catalogue_open_offline(struct catalogue *catalogue, struct topic *topic,
                                         int32_t index, const struct log_config *config,
                                         const struct log_state *known, const struct reason *why);

/* Reads the settings of groups; opening. catalogue_groups.c */
enum err catalogue_groups_load(struct catalogue *catalogue, struct reason *reason);
void catalogue_groups_free(struct catalogue *catalogue);

/* Puts the topic in both hashes (takes over the reference). change_lock, or at start. */
void catalogue_publish(struct catalogue *catalogue, struct topic *topic);

/* Takes the topic out of them. change_lock, or at the end. */
void catalogue_unpublish(struct catalogue *catalogue, struct topic *topic);

#endif
