#ifndef TIDINGS_TOPIC_CATALOGUE_CHANGE_H
#define TIDINGS_TOPIC_CATALOGUE_CHANGE_H

#include "topic/catalogue_internal.h"

/*
 * Changes of which topics and partitions there are, in pieces. Shared by catalogue_create.c and
 * catalogue_delete.c.
 *
 * A change goes through phases, each of which is run until it names another one. What is as small
 * as one piece is done at once under change_lock; of the others only those phases hold it that
 * touch the database or what others see. From its beginning to its end a change is in
 * catalogue->pending, which keeps its name and its room from others.
 */
enum { CATALOGUE_PIECE = 64 }; /* partitions whose files are made or removed at a time */

struct catalogue_phase {
    void (*run)(struct catalogue_change *change); /* a piece */
    bool locked;                                  /* under change_lock */
    bool behind; /* what nobody needs to wait for: never under change_lock */
};

struct catalogue_change {
    struct catalogue *catalogue;
    struct topic *topic;                 /* a reference */
    const struct catalogue_phase *phase; /* NULL: over */
    int32_t first;                       /* partitions that come: [first, total) */
    int32_t total;
    int32_t next; /* of the phase; from `first` on */
    enum err err;
    struct reason reason;
    struct catalogue_change *next_pending; /* a list both ways */
    struct catalogue_change *prev_pending;
    bool is_pending;

    /* of what comes */
    bool creates; /* the topic; else partitions */
    bool validate_only;
    bool is_seen; /* it came */
    struct partition **added;
    struct topic_config config;
    struct overrides overrides;

    /* of a deletion */
    bool deletes;
    int32_t count; /* of its partitions */
    char ***away;  /* by piece: see log_set_aside_many */
    bool unnamed;  /* all are set aside */
    bool synced;   /* and that is on disk */
};

/* A change of the topic, whose reference it takes over. */
struct catalogue_change *catalogue_change_new(struct catalogue *catalogue, struct topic *topic,
                                              const struct catalogue_phase *phase);

/* change_lock. Begins: takes the name and the room. Small changes are over then but for what comes
 * behind. */
void catalogue_change_begin(struct catalogue_change *change);

/* change_lock. Others may have its name and its room, or it has come and keeps them. */
void catalogue_change_settle(struct catalogue_change *change);

/* Frees those that had to stay pending; closing. */
void catalogue_change_forget_all(struct catalogue *catalogue);

/* Steps to its end. */
enum err catalogue_change_finish(struct catalogue_change *change, struct topic **out,
                                 struct reason *reason);

#endif
