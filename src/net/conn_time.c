#include "base/clock.h"
#include "net/state.h"

/*
 * Who has the reactor's time. A connection that had little of it lately is served a little as soon
 * as something happens on it, as long as all those of its address had little in this
 * turn (site.h). One that has more to do, had much lately (it is busy), or is new stands in the
 * reactor's line, of which a slice is served each turn. So who asks for little waits for one slice,
 * or one request, however much others ask for; those who ask for much share what is left by turns,
 * of addresses first (turn_line.h).
 */

enum {
    SMALL_SLICE_NS = 50000, /* of one that is not in the line */
    DEBT_NS = 6000000,      /* at most: the thread may have been off its processor for longer */
    BUSY_NS = 400000,       /* used lately */
    HALF_LIFE_NS = 10000000 /* of what counts as lately; with BUSY_NS: some 3 % of the time */
};

/* What was used counts half after each half-life. */
static void forget_old(struct conn *conn)
{
    int64_t halvings = (conn->reactor->now_ns - conn->used_since_ns) / HALF_LIFE_NS;
    if (halvings > 0) {
        conn->used_ns = halvings < 32 ? conn->used_ns >> halvings : 0;
        conn->used_since_ns += halvings * HALF_LIFE_NS;
    }
}

bool conn_is_busy(struct conn *conn)
{
    forget_old(conn);
    return !conn->was_served || !conn_asks_little(conn) || conn->used_ns >= BUSY_NS ||
           site_had_enough(conn);
}

/* One was served a little while those of another address stand in line. */
static void note_little(const struct conn *conn)
{
    struct reactor *reactor = conn->reactor;
    const struct site *first = reactor->line.first;
    if (first != NULL && (first != conn->site || first->next != NULL)) {
        reactor->little_ns = reactor->now_ns;
    }
}

static void begin(struct reactor *reactor, int64_t slice_ns)
{
    reactor->slice_began_ns = reactor->now_ns;
    reactor->slice_end_ns = reactor->now_ns + slice_ns;
}

void conn_begin_slice(struct conn *conn)
{
    begin(conn->reactor, reactor_slice_ns(conn->reactor));
}

void conn_begin_small_slice(struct conn *conn)
{
    begin(conn->reactor, SMALL_SLICE_NS);
}

bool conn_is_slice_over(const struct conn *conn)
{
    struct reactor *reactor = conn->reactor;
    reactor->now_ns = clock_now_ns();
    return reactor->now_ns >= reactor->slice_end_ns;
}

/* What the slice counts as. A small one may have been long as others had the processor: one alone
 * makes nobody busy. */
static int64_t counted_ns(int64_t took_ns, bool is_small)
{
    return is_small && took_ns > BUSY_NS / 2 ? BUSY_NS / 2 : took_ns;
}

void conn_end_slice(struct conn *conn)
{
    struct reactor *reactor = conn->reactor;
    bool is_over = conn_is_slice_over(conn);
    forget_old(conn);
    conn->was_served = true;
    bool is_small = reactor->slice_end_ns - reactor->slice_began_ns == SMALL_SLICE_NS;
    int64_t took_ns = reactor->now_ns - reactor->slice_began_ns;
    conn->used_ns += counted_ns(took_ns, is_small);
    if (is_small) {
        site_use(conn, took_ns);
        note_little(conn);
    }
    conn->debt_ns += is_over ? reactor->now_ns - reactor->slice_end_ns : 0;
    if (conn->debt_ns > DEBT_NS) {
        conn->debt_ns = DEBT_NS;
    }
}

bool conn_waits_for_others(struct conn *conn)
{
    bool waits = conn->debt_ns > 0 && conn->reactor->line.count > 0;
    conn->debt_ns = waits ? conn->debt_ns - reactor_slice_ns(conn->reactor) : 0;
    return waits;
}

int64_t reactor_line_end_ns(const struct reactor *reactor)
{
    return reactor->now_ns + reactor_slice_ns(reactor);
}
