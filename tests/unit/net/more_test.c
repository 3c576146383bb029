#include "../unit.h"
#include "fixture.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * MSG_MORE tells TCP to wait for more bytes, up to 200 ms. So the last send of a row of replies
 * must not carry it. The linker's --wrap puts this in front of sendmsg.
 */
ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);

static atomic_int last_flags;

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
    atomic_store(&last_flags, flags);
    return __real_sendmsg(fd, message, flags);
}

/* Any number of replies that become ready together ends without MSG_MORE. */
static void the_last_send_promises_nothing_more(void **state)
{
    struct server *server = *state;
    server_start(server);
    int fd = client_connect(server);
    unsigned parked = 0;
    for (unsigned count = 1; count <= 70; count++) {
        for (unsigned i = 0; i < count; i++) {
            client_send_text(fd, "p");
        }
        /* The oldest last: its completion releases all of them at once. */
        for (unsigned i = count; i-- > 0;) {
            server_complete(server, server_parked(server, parked + i), "done");
        }
        for (unsigned i = 0; i < count; i++) {
            client_expect(fd, "done");
        }
        assert_int_equal(atomic_load(&last_flags) & MSG_MORE, 0);
        parked += count;
    }
    close(fd);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(the_last_send_promises_nothing_more),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
