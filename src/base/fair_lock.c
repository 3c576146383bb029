#include "base/fair_lock.h"

void fair_lock_init(struct fair_lock *lock)
{
    *lock = (struct fair_lock){.next = 0};
    pthread_mutex_init(&lock->mutex, NULL);
    pthread_cond_init(&lock->moved, NULL);
}

void fair_lock_deinit(struct fair_lock *lock)
{
    pthread_cond_destroy(&lock->moved);
    pthread_mutex_destroy(&lock->mutex);
}

void fair_lock_take(struct fair_lock *lock)
{
    pthread_mutex_lock(&lock->mutex);
    uint64_t own = lock->next++;
    while (lock->served != own) {
        pthread_cond_wait(&lock->moved, &lock->mutex);
    }
    pthread_mutex_unlock(&lock->mutex);
}

void fair_lock_give(struct fair_lock *lock)
{
    pthread_mutex_lock(&lock->mutex);
    lock->served++;
    pthread_cond_broadcast(&lock->moved);
    pthread_mutex_unlock(&lock->mutex);
}
