#include "topic/catalogue_change.h"

#include "base/mem.h"

#include <stdlib.h>
#include <utlist.h>

struct catalogue_change *catalogue_change_new(struct catalogue *catalogue, struct topic *topic,
                                              const struct catalogue_phase *phase)
{
    struct catalogue_change *change = mem_new(struct catalogue_change);
    change->catalogue = catalogue;
    change->topic = topic;
    change->phase = phase;
    return change;
}

void catalogue_change_begin(struct catalogue_change *change)
{
    struct catalogue *catalogue = change->catalogue;
    DL_APPEND2(catalogue->pending, change, prev_pending, next_pending);
    change->is_pending = true;
    change->topic->change = change;
    catalogue->coming += change->total - change->first; /* of a deletion: none */
    catalogue->partitions += change->total - change->first;
    if (change->creates) {
        catalogue_names_add(&catalogue->names, change->topic);
    }
    bool small = change->total - change->first + change->count <= CATALOGUE_PIECE;
    while (change->phase != NULL && !change->phase->behind && small) {
        change->phase->run(change);
    }
}

void catalogue_change_settle(struct catalogue_change *change)
{
    struct catalogue *catalogue = change->catalogue;
    DL_DELETE2(catalogue->pending, change, prev_pending, next_pending);
    change->is_pending = false;
    change->topic->change = NULL;
    catalogue->coming -= change->total - change->first;
    if (!change->is_seen) {
        catalogue->partitions -= change->total - change->first;
    }
    if (change->deletes || (change->creates && !change->is_seen)) {
        catalogue_names_remove(&catalogue->names, change->topic);
    }
}

bool catalogue_change_step(struct catalogue_change *change)
{
    const struct catalogue_phase *phase = change->phase;
    if (phase != NULL && phase->locked) {
        fair_lock_take(&change->catalogue->change_lock);
        phase->run(change);
        fair_lock_give(&change->catalogue->change_lock);
    } else if (phase != NULL) {
        phase->run(change);
    }
    return change->phase != NULL;
}

enum err catalogue_change_end(struct catalogue_change *change, struct topic **out,
                              struct reason *reason)
{
    enum err err = change->err;
    if (err != ERR_NONE && reason != NULL) {
        *reason = change->reason;
    }
    if (out != NULL) {
        *out = NULL;
    }
    if (err == ERR_NONE && out != NULL && !change->validate_only) {
        topic_ref(change->topic);
        *out = change->topic;
    }
    free(change->added);
    free(change->away);
    change->added = NULL;
    change->away = NULL;
    if (!change->is_pending) { /* else its name stays taken */
        topic_config_deinit(&change->config);
        overrides_deinit(&change->overrides);
        topic_unref(change->topic);
        free(change);
    }
    return err;
}

static size_t piece_at(const struct catalogue_change *change, int32_t from)
{
    int32_t left = change->count - from;
    return (size_t)(left < CATALOGUE_PIECE ? left : CATALOGUE_PIECE);
}

void catalogue_change_forget_all(struct catalogue *catalogue)
{
    struct catalogue_change *change;
    struct catalogue_change *next;
    DL_FOREACH_SAFE2(catalogue->pending, change, next, next_pending)
    {
        for (int32_t i = 0; change->added != NULL && i < change->next - change->first; i++) {
            log_unref(change->added[i]->log);
            free(change->added[i]);
        }
        free(change->added);
        for (int32_t i = 0; change->away != NULL && i < change->count; i += CATALOGUE_PIECE) {
            if (change->away[i / CATALOGUE_PIECE] != NULL) {
                (void)!log_remove_aside(NULL, change->away[i / CATALOGUE_PIECE],
                                        piece_at(change, i), NULL);
            }
        }
        if (change->away != NULL && change->phase != NULL) {
            topic_unref(change->topic); /* the catalogue's */
        }
        free(change->away);
        topic_config_deinit(&change->config);
        overrides_deinit(&change->overrides);
        topic_unref(change->topic);
        free(change);
    }
}

enum err catalogue_change_finish(struct catalogue_change *change, struct topic **out,
                                 struct reason *reason)
{
    while (catalogue_change_step(change)) {
    }
    return catalogue_change_end(change, out, reason);
}
