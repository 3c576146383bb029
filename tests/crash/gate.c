#include "world.h"

void gate_pass(struct world *world, uint64_t *seen, uint16_t *port)
{
    pthread_mutex_lock(&world->gate_lock);
    world->parked++;
    pthread_cond_broadcast(&world->gate_moved);
    while (!(world->open && world->generation > *seen)) {
        pthread_cond_wait(&world->gate_moved, &world->gate_lock);
    }
    world->parked--;
    *seen = world->generation;
    *port = world->port;
    pthread_mutex_unlock(&world->gate_lock);
}

void gate_open(struct world *world)
{
    pthread_mutex_lock(&world->gate_lock);
    world->open = true;
    world->generation++;
    world->port = world->server.port;
    pthread_cond_broadcast(&world->gate_moved);
    pthread_mutex_unlock(&world->gate_lock);
}

void gate_close(struct world *world)
{
    pthread_mutex_lock(&world->gate_lock);
    world->open = false;
    while (world->parked < world->thread_count) {
        pthread_cond_wait(&world->gate_moved, &world->gate_lock);
    }
    pthread_mutex_unlock(&world->gate_lock);
}

void gate_finish(struct world *world)
{
    pthread_mutex_lock(&world->gate_lock);
    world->stopping = true;
    pthread_mutex_unlock(&world->gate_lock);
    for (int i = 0; i < world->thread_count; i++) {
        pthread_join(world->threads[i], NULL);
    }
    world->thread_count = 0;
}

bool world_stopping(struct world *world)
{
    pthread_mutex_lock(&world->gate_lock);
    bool stopping = world->stopping;
    pthread_mutex_unlock(&world->gate_lock);
    return stopping;
}
