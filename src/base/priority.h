#ifndef TIDINGS_BASE_PRIORITY_H
#define TIDINGS_BASE_PRIORITY_H

enum {
    /* Of threads whose work takes long: when processors are short, whoever answers clients comes
     * first, and these still have about a tenth beside each (sched(7), "The nice value"). */
    PRIORITY_NICE_BEHIND = 10
};

/* The calling thread has this nice value from now on (0..19, not below its own). A refusal is
 * passed over: it only means that others wait longer. Linux counts it per thread. */
void priority_set_nice(int nice);

#endif
