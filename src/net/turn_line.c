#include "net/turn_line.h"

#include "net/state.h"

#include <utlist.h>

void turn_line_add(struct turn_line *line, struct conn *conn)
{
    struct site *site = conn->site;
    if (site->waiting == NULL) {
        DL_APPEND(line->first, site);
    }
    conn->in_line = true;
    DL_APPEND2(site->waiting, conn, ready_prev, ready_next);
    line->count++;
}

void turn_line_remove(struct turn_line *line, struct conn *conn)
{
    struct site *site = conn->site;
    conn->in_line = false;
    DL_DELETE2(site->waiting, conn, ready_prev, ready_next);
    line->count--;
    if (site->waiting == NULL) {
        DL_DELETE(line->first, site);
    }
}

struct conn *turn_line_take(struct turn_line *line)
{
    struct site *site = line->first;
    if (site == NULL) {
        return NULL;
    }
    struct conn *conn = site->waiting;
    DL_DELETE(line->first, site);
    DL_APPEND(line->first, site);
    turn_line_remove(line, conn);
    return conn;
}
