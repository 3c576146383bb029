#include "topic/catalogue.h"

#include "base/logger.h"
#include "base/mem.h"
#include "base/random.h"
#include "log/space.h"
#include "topic/catalogue_internal.h"

#include <stdio.h>
#include <stdlib.h>

enum { PRODUCER_ID_BLOCK = 1000 };

struct topic *catalogue_find(struct catalogue *catalogue, struct slice name)
{
    struct topic *topic = NULL;
    pthread_rwlock_rdlock(&catalogue->table_lock);
    HASH_FIND(by_name, catalogue->by_name, name.data, name.size, topic);
    if (topic != NULL) {
        topic_ref(topic);
    }
    pthread_rwlock_unlock(&catalogue->table_lock);
    return topic;
}

struct topic *catalogue_find_id(struct catalogue *catalogue, const struct topic_id *id)
{
    struct topic *topic = NULL;
    pthread_rwlock_rdlock(&catalogue->table_lock);
    HASH_FIND(by_id, catalogue->by_id, id, sizeof *id, topic);
    if (topic != NULL) {
        topic_ref(topic);
    }
    pthread_rwlock_unlock(&catalogue->table_lock);
    return topic;
}

static int compare_names(const void *a, const void *b)
{
    const struct topic *const *left = a;
    const struct topic *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

struct topic **catalogue_list(struct catalogue *catalogue, size_t *count)
{
    pthread_rwlock_rdlock(&catalogue->table_lock);
    struct topic **topics = mem_new_array(struct topic *, HASH_CNT(by_name, catalogue->by_name));
    size_t filled = 0;
    struct topic *topic;
    struct topic *next;
    HASH_ITER (by_name, catalogue->by_name, topic, next) {
        topic_ref(topic);
        topics[filled++] = topic;
    }
    pthread_rwlock_unlock(&catalogue->table_lock);
    if (filled > 1) {
        qsort(topics, filled, sizeof(struct topic *), compare_names);
    }
    *count = filled;
    return topics;
}

void catalogue_list_free(struct topic **topics, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        topic_unref(topics[i]);
    }
    free(topics);
}

void catalogue_publish(struct catalogue *catalogue, struct topic *topic)
{
    HASH_ADD_KEYPTR(by_name, catalogue->by_name, topic->name, strlen(topic->name), topic);
    HASH_ADD(by_id, catalogue->by_id, id, sizeof topic->id, topic);
    catalogue->changes++;
}

uint64_t catalogue_version(const struct catalogue *catalogue)
{
    return catalogue->changes + 1;
}

char *catalogue_log_dir(const struct catalogue *catalogue, const struct topic *topic,
                        int32_t partition)
{
    return mem_sprintf("%s/%s-%d", catalogue->topics_dir, topic->name, (int)partition);
}

static struct partition *partition_new(struct catalogue *catalogue, struct topic *topic,
                                       int32_t index, struct log *log)
{
    struct partition *partition = mem_new(struct partition);
    partition->topic = topic;
    partition->index = index;
    partition->log = log;
    partition->advanced = catalogue->advanced;
    partition->advanced_context = catalogue->advanced_context;
    log_set_user(log, partition);
    atomic_store(&partition->high_watermark, log_flushed_offset(log));
    return partition;
}

enum err catalogue_open_partition(struct catalogue *catalogue, struct topic *topic, int32_t index,
                                  const struct log_config *config, const struct log_state *known,
                                  struct partition **out, struct log_recovery *recovery,
                                  struct reason *reason)
{
    struct log *log;
    char *dir = catalogue_log_dir(catalogue, topic, index);
    enum err err = log_open(dir, config, &catalogue->env, known, &log, recovery, reason);
    free(dir);
    if (err == ERR_NONE) {
        *out = partition_new(catalogue, topic, index, log);
    }
    return err;
}

struct partition *catalogue_open_offline(struct catalogue *catalogue, struct topic *topic,
                                         int32_t index, const struct log_config *config,
                                         const struct log_state *known, const struct reason *why)
{
    char *dir = catalogue_log_dir(catalogue, topic, index);
    struct log *log = log_open_offline(dir, config, &catalogue->env, known, why);
    free(dir);
    LOG_ERROR("topic", "a partition is offline: mend its files and restart",
              "topic=%s partition=%d reason=\"%s\"", topic->name, (int)index, why->text);
    return partition_new(catalogue, topic, index, log);
}

/* Opens fresh logs [first, total) and publishes them in the topic. Nothing is left on an error. */
static enum err add_logs(struct catalogue *catalogue, struct topic *topic, int32_t first,
                         int32_t total, const struct log_config *config, struct reason *reason)
{
    int32_t count = total - first;
    struct partition **added = mem_new_array(struct partition *, (size_t)count);
    enum err err = ERR_NONE;
    int32_t opened = 0;
    while (err == ERR_NONE && opened < count) {
        struct log_recovery recovery;
        err = catalogue_open_partition(catalogue, topic, first + opened, config, NULL,
                                       &added[opened], &recovery, reason);
        opened += err == ERR_NONE;
    }
    if (err == ERR_NONE) { /* the new directories, all at once */
        err = file_sync_dir(catalogue->env.files, catalogue->topics_dir, reason);
    }
    if (err == ERR_NONE) {
        topic_add_partitions(topic, added, count);
        catalogue->changes++;
    }
    struct reason ignored;
    if (err != ERR_NONE) {
        char *dir = catalogue_log_dir(catalogue, topic, first + opened);
        (void)!log_discard_dir(catalogue->env.files, dir, &ignored);
        free(dir);
    }
    for (int32_t i = 0; err != ERR_NONE && i < opened; i++) {
        (void)!log_delete(added[i]->log, &ignored);
        log_unref(added[i]->log);
        free(added[i]);
    }
    free(added);
    return err;
}

enum err catalogue_build_config(const struct catalogue *catalogue, const struct overrides *own,
                                struct topic_config *config, struct reason *reason)
{
    enum err err = topic_config_build(config, &catalogue->topic_defaults, own, reason);
    if (catalogue->producer_expiration_ms > 0) {
        config->log.producer_expiration_ms = catalogue->producer_expiration_ms;
    }
    return err;
}

void catalogue_end_changes(struct catalogue *catalogue)
{
    atomic_store(&catalogue->no_more_changes, true);
}

static enum err check_open(const struct catalogue *catalogue, struct reason *reason)
{
    return atomic_load(&catalogue->no_more_changes)
               ? reason_fail(reason, ERR_CLOSED, "the server is stopping")
               : ERR_NONE;
}

enum err catalogue_check_known(struct catalogue *catalogue, const struct topic *topic,
                               struct reason *reason)
{
    enum err err = check_open(catalogue, reason);
    if (err != ERR_NONE) {
        return err;
    }
    struct topic *found = catalogue_find_id(catalogue, &topic->id);
    if (found == NULL) {
        return reason_fail(reason, ERR_NOT_FOUND, "topic '%s' is not there any more", topic->name);
    }
    topic_unref(found);
    return ERR_NONE;
}

static enum err check_count(int32_t count, struct reason *reason)
{
    if (count < 1 || count > TOPIC_MAX_PARTITIONS) {
        return reason_fail(reason, ERR_INVALID, "a topic has from 1 to %d partitions, not %d",
                           TOPIC_MAX_PARTITIONS, (int)count);
    }
    return ERR_NONE;
}

/* Kafka refuses names that differ in '.' and '_' only, as metrics would mix them up. */
static enum err check_collision(struct catalogue *catalogue, const char *name,
                                struct reason *reason)
{
    enum err err = ERR_NONE;
    pthread_rwlock_rdlock(&catalogue->table_lock);
    struct topic *topic;
    struct topic *next;
    HASH_ITER (by_name, catalogue->by_name, topic, next) {
        size_t i = 0;
        while (name[i] != '\0' &&
               (name[i] == topic->name[i] ||
                (strchr("._", name[i]) && topic->name[i] && strchr("._", topic->name[i])))) {
            i++;
        }
        if (name[i] == '\0' && topic->name[i] == '\0' && strcmp(name, topic->name) != 0) {
            err = reason_fail(reason, ERR_INVALID,
                              "topic '%s' collides with existing topic '%s': names that differ in "
                              "'.' and '_' only are not told apart in metrics",
                              name, topic->name);
            break;
        }
    }
    pthread_rwlock_unlock(&catalogue->table_lock);
    return err;
}

/* Each partition takes memory: without a limit one request takes that of all. */
static enum err check_room(struct catalogue *catalogue, const char *name, int32_t added,
                           struct reason *reason)
{
    int64_t total = added;
    pthread_rwlock_rdlock(&catalogue->table_lock);
    struct topic *topic;
    struct topic *next;
    HASH_ITER (by_name, catalogue->by_name, topic, next) {
        total += topic_partition_count(topic);
    }
    pthread_rwlock_unlock(&catalogue->table_lock);
    if (catalogue->max_partitions > 0 && total > catalogue->max_partitions) {
        return reason_fail(reason, ERR_LIMIT,
                           "%lld partitions are more than the %d that one server takes: delete "
                           "some first",
                           (long long)total, (int)catalogue->max_partitions);
    }
    struct budget *budget = catalogue->env.budget;
    size_t bytes = (size_t)added * topic_partition_cost();
    if (budget == NULL || budget_has_room(budget, BUDGET_PARTITIONS, bytes)) {
        return ERR_NONE;
    }
    const struct budget_used *share = &budget->shares[BUDGET_PARTITIONS];
    LOG_WARN("topic", "partitions were refused: there is no memory for them",
             "topic=%s added=%d total=%lld share=%s bytes=%lld limit=%lld setting=memory.max", name,
             (int)added, (long long)total, budget_share_name(BUDGET_PARTITIONS),
             (long long)share->bytes, (long long)share->limit_bytes);
    return reason_fail(reason, ERR_LIMIT,
                       "there is no memory for %d more partitions: share=%s has %lld of %lld bytes "
                       "in use; delete topics, or raise memory.max",
                       (int)added, budget_share_name(BUDGET_PARTITIONS), (long long)share->bytes,
                       (long long)share->limit_bytes);
}

/* A directory that no topic owns must not become part of one. */
static enum err check_foreign(const struct catalogue *catalogue, const struct topic *topic,
                              int32_t first, int32_t total, struct reason *reason)
{
    enum err err = ERR_NONE;
    for (int32_t i = first; err == ERR_NONE && i < total; i++) {
        char *dir = catalogue_log_dir(catalogue, topic, i);
        if (file_exists(dir)) {
            err = reason_fail(reason, ERR_EXISTS,
                              "directory topics/%s-%d exists but the catalogue does not know it: "
                              "move it away or choose another name",
                              topic->name, (int)i);
        }
        free(dir);
    }
    return err;
}

/* Under change_lock, everything checked: row first, then logs, then visible. */
static enum err create_checked(struct catalogue *catalogue, struct topic *topic,
                               const struct topic_creation *creation, struct topic_config *config,
                               struct reason *reason)
{
    enum err err = check_foreign(catalogue, topic, 0, creation->partition_count, reason);
    if (err != ERR_NONE) {
        return err;
    }
    err = catalogue_db_insert(catalogue->db, topic, creation->partition_count, &creation->overrides,
                              reason);
    if (err != ERR_NONE) {
        return err;
    }
    err = add_logs(catalogue, topic, 0, creation->partition_count, &config->log, reason);
    if (err != ERR_NONE) {
        struct reason ignored;
        (void)!catalogue_db_remove(catalogue->db, &topic->id, &ignored);
        return err;
    }
    topic_set_config(topic, config);
    overrides_copy(&topic->overrides, &creation->overrides);
    pthread_rwlock_wrlock(&catalogue->table_lock);
    topic_ref(topic);
    catalogue_publish(catalogue, topic);
    pthread_rwlock_unlock(&catalogue->table_lock);
    LOG_INFO("topic", "topic created", "topic=%s partitions=%d", topic->name,
             (int)creation->partition_count);
    return ERR_NONE;
}

enum err catalogue_create(struct catalogue *catalogue, const struct topic_creation *creation,
                          struct topic **out, struct reason *reason)
{
    if (out != NULL) {
        *out = NULL;
    }
    enum err err = topic_check_name(creation->name, reason);
    if (err == ERR_NONE && !creation->internal &&
        slice_equal_str(creation->name, "__transaction_state")) {
        err = reason_fail(reason, ERR_INVALID, "the name __transaction_state is the server's own");
    }
    if (err == ERR_NONE) {
        err = check_count(creation->partition_count, reason);
    }
    if (err == ERR_NONE) {
        err = check_open(catalogue, reason);
    }
    if (err != ERR_NONE) {
        return err;
    }
    struct topic_config config;
    err = catalogue_build_config(catalogue, &creation->overrides, &config, reason);
    if (err != ERR_NONE) {
        topic_config_deinit(&config);
        return err;
    }
    struct topic_id id;
    random_uuid(id.bytes);
    struct topic *topic = topic_new(creation->name, &id, creation->internal);
    topic->budget = catalogue->env.budget;
    pthread_mutex_lock(&catalogue->change_lock);
    struct topic *existing = catalogue_find(catalogue, creation->name);
    if (existing != NULL) {
        topic_unref(existing);
        err = reason_fail(reason, ERR_EXISTS, "topic '%s' already exists", topic->name);
    } else {
        err = check_collision(catalogue, topic->name, reason);
    }
    if (err == ERR_NONE && !creation->internal) { /* without its own the server cannot start */
        err = check_room(catalogue, topic->name, creation->partition_count, reason);
    }
    if (err == ERR_NONE && !creation->validate_only) {
        err = create_checked(catalogue, topic, creation, &config, reason);
    }
    pthread_mutex_unlock(&catalogue->change_lock);
    topic_config_deinit(&config);
    if (err == ERR_NONE && out != NULL && !creation->validate_only) {
        *out = topic;
    } else {
        topic_unref(topic);
    }
    return err;
}

enum err catalogue_add_partitions(struct catalogue *catalogue, struct topic *topic, int32_t total,
                                  bool validate_only, struct reason *reason)
{
    enum err err = check_count(total, reason);
    if (err != ERR_NONE) {
        return err;
    }
    pthread_mutex_lock(&catalogue->change_lock);
    int32_t now = topic_partition_count(topic);
    err = catalogue_check_known(catalogue, topic, reason);
    if (err == ERR_NONE && total <= now) {
        err = reason_fail(reason, ERR_INVALID,
                          "topic '%s' has %d partitions already, %d would not be an increase",
                          topic->name, (int)now, (int)total);
    } else if (err == ERR_NONE) {
        err = check_room(catalogue, topic->name, total - now, reason);
    }
    if (err == ERR_NONE) {
        err = check_foreign(catalogue, topic, now, total, reason);
    }
    if (err == ERR_NONE && !validate_only) {
        err = catalogue_db_set_partitions(catalogue->db, &topic->id, total, reason);
        if (err == ERR_NONE) {
            err = add_logs(catalogue, topic, now, total, &topic_config(topic)->log, reason);
            struct reason why;
            if (err != ERR_NONE &&
                catalogue_db_set_partitions(catalogue->db, &topic->id, now, &why) != ERR_NONE) {
                LOG_WARN("topic", "a topic has more partitions from the next start on",
                         "topic=%s partitions=%d reason=\"%s\"", topic->name, (int)total, why.text);
            }
        }
    }
    pthread_mutex_unlock(&catalogue->change_lock);
    return err;
}

bool catalogue_try_again(struct catalogue *catalogue, enum err err, struct reason *reason)
{
    if (err != ERR_NO_SPACE || !space_give_up_spare(catalogue->env.space)) {
        return false;
    }
    if (reason != NULL) {
        reason->text[0] = '\0';
    }
    return true;
}

enum err catalogue_delete_records(struct catalogue *catalogue, struct partition *partition,
                                  int64_t before_offset, int64_t *low, struct reason *reason)
{
    int64_t high_watermark = partition_high_watermark(partition);
    int64_t start = before_offset == -1 ? high_watermark : before_offset;
    if (start < 0 || start > high_watermark) {
        return reason_fail(reason, ERR_OUT_OF_RANGE,
                           "cannot delete up to offset %lld: the partition ends at %lld",
                           (long long)before_offset, (long long)high_watermark);
    }
    pthread_mutex_lock(&catalogue->change_lock);
    enum err err = catalogue_check_known(catalogue, partition->topic, reason);
    /* The start on disk never moves back: another cut may have gone further. */
    if (err == ERR_NONE && start > log_start_offset(partition->log)) {
        err = partition_load(partition, reason);
        if (err == ERR_NONE) {
            do {
                err = catalogue_db_set_log_start(catalogue->db, &partition->topic->id,
                                                 partition->index, start, reason);
            } while (catalogue_try_again(catalogue, err, reason));
        }
        if (err == ERR_NONE) {
            err = log_set_start_offset(partition->log, start, reason);
        }
    }
    pthread_mutex_unlock(&catalogue->change_lock);
    *low = log_start_offset(partition->log);
    return err;
}

enum err catalogue_next_producer_id(struct catalogue *catalogue, int64_t *producer_id,
                                    struct reason *reason)
{
    enum err err = ERR_NONE;
    pthread_mutex_lock(&catalogue->change_lock);
    if (catalogue->next_producer_id == catalogue->producer_id_limit) {
        char text[32];
        snprintf(text, sizeof text, "%lld",
                 (long long)(catalogue->producer_id_limit + PRODUCER_ID_BLOCK));
        err = catalogue_db_put(catalogue->db, "next_producer_id", text, reason);
        if (err == ERR_NONE) {
            catalogue->producer_id_limit += PRODUCER_ID_BLOCK;
        }
    }
    if (err == ERR_NONE) {
        *producer_id = catalogue->next_producer_id++;
    }
    pthread_mutex_unlock(&catalogue->change_lock);
    return err;
}

const char *catalogue_cluster_id(const struct catalogue *catalogue)
{
    return catalogue->cluster_id;
}
