#include "topic/catalogue_internal.h"

/* The settings that a topic has of its own. */

/* Whether events that were kept need not be kept any more. -1 is no limit. */
static bool frees_space(const struct log_config *before, const struct log_config *after)
{
    return !after->retain &&
           ((uint64_t)after->retention_ms < (uint64_t)before->retention_ms ||
            (uint64_t)after->retention_bytes < (uint64_t)before->retention_bytes || before->retain);
}

/* Under change_lock. */
static enum err apply_overrides(struct catalogue *catalogue, struct topic *topic,
                                const struct overrides *overrides, bool validate_only,
                                struct reason *reason)
{
    struct topic_config config;
    enum err err = catalogue_build_config(catalogue, overrides, &config, reason);
    if (err == ERR_NONE && !validate_only) {
        bool frees = frees_space(&topic_config(topic)->log, &config.log);
        do {
            err = catalogue_db_set_overrides(catalogue->db, &topic->id, overrides, reason);
        } while (frees && catalogue_try_again(catalogue, err, reason));
        if (err == ERR_NONE) {
            topic_set_config(topic, &config);
            pthread_rwlock_wrlock(&catalogue->table_lock);
            overrides_deinit(&topic->overrides);
            overrides_copy(&topic->overrides, overrides);
            pthread_rwlock_unlock(&catalogue->table_lock);
        }
    }
    topic_config_deinit(&config);
    return err;
}

enum err catalogue_edit_overrides(struct catalogue *catalogue, struct topic *topic,
                                  catalogue_edit *edit, void *context, bool validate_only,
                                  struct reason *reason)
{
    fair_lock_take(&catalogue->change_lock);
    enum err err = catalogue_check_known(catalogue, topic, reason);
    if (err == ERR_NONE) {
        struct overrides overrides;
        catalogue_overrides(catalogue, topic, &overrides);
        err = edit(context, &overrides, reason);
        if (err == ERR_NONE) {
            err = apply_overrides(catalogue, topic, &overrides, validate_only, reason);
        }
        overrides_deinit(&overrides);
    }
    fair_lock_give(&catalogue->change_lock);
    return err;
}

static enum err replace_all(void *context, struct overrides *overrides, struct reason *reason)
{
    (void)reason;
    overrides_deinit(overrides);
    overrides_copy(overrides, context);
    return ERR_NONE;
}

enum err catalogue_set_overrides(struct catalogue *catalogue, struct topic *topic,
                                 const struct overrides *overrides, bool validate_only,
                                 struct reason *reason)
{
    return catalogue_edit_overrides(catalogue, topic, replace_all, (void *)(uintptr_t)overrides,
                                    validate_only, reason);
}

void catalogue_overrides(struct catalogue *catalogue, struct topic *topic, struct overrides *out)
{
    pthread_rwlock_rdlock(&catalogue->table_lock);
    overrides_copy(out, &topic->overrides);
    pthread_rwlock_unlock(&catalogue->table_lock);
}

const struct overrides *catalogue_topic_defaults(const struct catalogue *catalogue)
{
    return &catalogue->topic_defaults;
}
