#ifndef TIDINGS_NET_TURN_LINE_H
#define TIDINGS_NET_TURN_LINE_H

#include <stddef.h>

/*
 * The connections of a reactor that stand in line for their next turn. Turns go round the
 * addresses, and for each address round its connections: whoever opens many connections gets no
 * more of the reactor than whoever opens one. Addresses of one site count as one (peer_site).
 * Zeroed is empty and valid. The reactor's thread.
 */
struct conn;
struct site;

struct turn_line {
    struct site *first; /* whose turn it is; a list */
    size_t count;       /* of connections */
};

/* The connection stands behind the others of its address. It must stand in no line yet. */
void turn_line_add(struct turn_line *line, struct conn *conn);

/* Out of the line that it stands in. */
void turn_line_remove(struct turn_line *line, struct conn *conn);

/* Takes out whose turn it is; NULL when nobody stands there. */
struct conn *turn_line_take(struct turn_line *line);

#endif
