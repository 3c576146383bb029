#include "client/lane_runner_inside.h"

#include "base/mem.h"

#include <time.h>

struct lane_mail *lane_mail_new(enum lane_mail_kind kind, void *token)
{
    struct lane_mail *mail = mem_new(struct lane_mail);
    mail->kind = kind;
    mail->token = token;
    return mail;
}

void lane_mail_free(struct lane_mail *mail)
{
    arena_deinit(&mail->arena);
    free(mail);
}

void lane_mailbox_init(struct lane_mailbox *mailbox)
{
    pthread_condattr_t monotonic;
    pthread_mutex_init(&mailbox->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&mailbox->came, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

void lane_mailbox_deinit(struct lane_mailbox *mailbox)
{
    pthread_cond_destroy(&mailbox->came);
    pthread_mutex_destroy(&mailbox->lock);
}

void lane_runner_post(struct lane_runner *runner, struct lane_mail *mail)
{
    struct lane_mailbox *mailbox = &runner->mailbox;
    mail->next = NULL;
    pthread_mutex_lock(&mailbox->lock);
    bool was_empty = mailbox->first == NULL;
    if (was_empty) {
        mailbox->first = mail;
    } else {
        mailbox->last->next = mail;
    }
    mailbox->last = mail;
    pthread_cond_signal(&mailbox->came);
    pthread_mutex_unlock(&mailbox->lock);
    if (was_empty) { /* else the poll thread was woken and did not look yet */
        runner->bus.wake(runner->bus.context);
    }
}

struct lane_mail *lane_mailbox_take(struct lane_mailbox *mailbox)
{
    pthread_mutex_lock(&mailbox->lock);
    struct lane_mail *mail = mailbox->first;
    mailbox->first = mailbox->last = NULL;
    pthread_mutex_unlock(&mailbox->lock);
    return mail;
}

void lane_mailbox_wait(struct lane_mailbox *mailbox, int64_t most_ms)
{
    int64_t until_ms = clock_mono_ms(clock_system()) + most_ms;
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    pthread_mutex_lock(&mailbox->lock);
    while (mailbox->first == NULL &&
           pthread_cond_timedwait(&mailbox->came, &mailbox->lock, &until) == 0) {
    }
    pthread_mutex_unlock(&mailbox->lock);
}
