#include "client/runner/lane_runner_inside.h"

#include "base/cond.h"
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
    pthread_mutex_init(&mailbox->lock, NULL);
    cond_init(&mailbox->came);
    cond_init(&mailbox->taken);
}

void lane_mailbox_deinit(struct lane_mailbox *mailbox)
{
    pthread_cond_destroy(&mailbox->came);
    pthread_cond_destroy(&mailbox->taken);
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
    mailbox->count++;
    pthread_cond_signal(&mailbox->came);
    pthread_mutex_unlock(&mailbox->lock);
    if (was_empty) { /* else the poll thread was woken and did not look yet */
        runner->bus.wake(runner->bus.context);
    }
}

void lane_runner_wake(struct lane_runner *runner)
{
    struct lane_mailbox *mailbox = &runner->mailbox;
    pthread_mutex_lock(&mailbox->lock);
    mailbox->is_woken = true;
    pthread_cond_signal(&mailbox->came);
    pthread_mutex_unlock(&mailbox->lock);
    runner->bus.wake(runner->bus.context);
}

struct lane_mail *lane_mailbox_take(struct lane_mailbox *mailbox)
{
    pthread_mutex_lock(&mailbox->lock);
    struct lane_mail *mail = mailbox->first;
    mailbox->first = mailbox->last = NULL;
    mailbox->is_woken = false;
    mailbox->count = 0;
    pthread_cond_broadcast(&mailbox->taken);
    pthread_mutex_unlock(&mailbox->lock);
    return mail;
}

bool lane_runner_has_room(struct lane_runner *runner, int most_ms)
{
    enum { MAILS_MAX = 10000 };
    struct lane_mailbox *mailbox = &runner->mailbox;
    struct timespec until = cond_after_ms(most_ms);
    pthread_mutex_lock(&mailbox->lock);
    while (mailbox->count >= MAILS_MAX &&
           pthread_cond_timedwait(&mailbox->taken, &mailbox->lock, &until) == 0) {
    }
    bool has_room = mailbox->count < MAILS_MAX;
    pthread_mutex_unlock(&mailbox->lock);
    return has_room;
}

void lane_mailbox_wait(struct lane_mailbox *mailbox, int64_t most_ms)
{
    struct timespec until = cond_after_ms(most_ms);
    pthread_mutex_lock(&mailbox->lock);
    while (mailbox->first == NULL && !mailbox->is_woken &&
           pthread_cond_timedwait(&mailbox->came, &mailbox->lock, &until) == 0) {
    }
    pthread_mutex_unlock(&mailbox->lock);
}
