#include "client/admin/admin_request.h"

#include "base/thread.h"

#include <stdlib.h>
#include <string.h>

/* A group is described by a call that waits; whoever polls a reader must not. */
struct admin_look {
    struct connection *connection;
    char *name;
    struct admin_group group;
    atomic_bool is_answered; /* the thread is through with all above */
    pthread_t thread;
};

static void *ask(void *context)
{
    struct admin_look *look = context;
    if (admin_group(look->connection, look->name, &look->group, NULL) != CLIENT_OK) {
        admin_group_deinit(&look->group);
    }
    atomic_store(&look->is_answered, true);
    return NULL;
}

struct admin_look *admin_look_begin(struct connection *connection, const char *name)
{
    struct admin_look *look = mem_new(struct admin_look);
    struct reason reason;
    look->connection = connection;
    look->name = mem_strdup(name);
    if (thread_start(&look->thread, "look", 0, ask, look, &reason) != ERR_NONE) {
        free(look->name);
        free(look);
        return NULL;
    }
    return look;
}

bool admin_look_answered(struct admin_look *look, struct admin_group *group)
{
    bool is_answered = atomic_load(&look->is_answered);
    *group = (struct admin_group){0};
    if (is_answered) {
        *group = look->group;
        look->group = (struct admin_group){0};
    }
    return is_answered;
}

void admin_look_end(struct admin_look *look)
{
    if (look != NULL) {
        pthread_join(look->thread, NULL);
        admin_group_deinit(&look->group);
        free(look->name);
        free(look);
    }
}
