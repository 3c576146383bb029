#ifndef TIDINGS_BASE_TASK_H
#define TIDINGS_BASE_TASK_H

/*
 * A piece of work handed to another thread: embedded in the struct it works on (container_of in
 * run). The receiver calls run exactly once; after that the task may be freed or posted again.
 */
struct task {
    struct task *next; /* of the queue that holds it */
    void (*run)(struct task *task);
};

#endif
