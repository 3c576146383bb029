#include "../unit.h"

#include "base/own_peers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int listen_at(const struct sockaddr *address, socklen_t size)
{
    int no = 0;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (address->sa_family == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
    }
    assert_int_equal(bind(fd, address, size), 0);
    assert_int_equal(listen(fd, 8), 0);
    return fd;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage own;
    socklen_t size = sizeof own;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &size), 0);
    return own.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&own)->sin6_port
                                     : ((struct sockaddr_in *)&own)->sin_port;
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* Whether the connection that comes next is one of ours. */
static bool take_next(struct own_peers *peers, int listener, int *accepted)
{
    struct sockaddr_storage from = {0};
    socklen_t size = sizeof from;
    *accepted = accept(listener, (struct sockaddr *)&from, &size);
    assert_true(*accepted >= 0);
    bool is_own = own_peers_take(peers, &from);
    assert_false(own_peers_take(peers, &from)); /* once */
    return is_own;
}

static int new_socket(int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    return fd;
}

static void check_listener(int listener)
{
    struct own_peers *peers = own_peers_new();
    struct sockaddr_in to = loopback(port_of(listener));
    int ours = new_socket(AF_INET), other = new_socket(AF_INET), forgotten = new_socket(AF_INET);
    int accepted[3];
    assert_int_equal(own_peers_connect(peers, ours, (struct sockaddr *)&to, sizeof to), 0);
    assert_true(take_next(peers, listener, &accepted[0]));
    assert_int_equal(connect(other, (struct sockaddr *)&to, sizeof to), 0);
    assert_false(take_next(peers, listener, &accepted[1]));
    assert_int_equal(own_peers_connect(peers, forgotten, (struct sockaddr *)&to, sizeof to), 0);
    own_peers_forget(peers, forgotten);
    own_peers_forget(peers, ours); /* which was taken */
    assert_false(take_next(peers, listener, &accepted[2]));
    for (int i = 0; i < 3; i++) {
        close(accepted[i]);
    }
    close(ours);
    close(other);
    close(forgotten);
    close(listener);
    own_peers_unref(peers);
}

static void test_who_connects_from_here_is_known_by_his_port(void **state)
{
    struct sockaddr_in at = loopback(0);
    (void)state;
    check_listener(listen_at((struct sockaddr *)&at, sizeof at));
}

static void test_also_where_a_server_listens_for_both_families(void **state)
{
    struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT};
    (void)state;
    int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0 || bind(probe, (struct sockaddr *)&at, sizeof at) != 0) {
        skip(); /* a machine without IPv6 */
    }
    close(probe);
    check_listener(listen_at((struct sockaddr *)&at, sizeof at));
}

/* Nobody listens; and what no address can be bound for is connected as ever. */
static void test_a_connection_that_fails_says_why_and_is_no_place_for_others(void **state)
{
    struct own_peers *peers = own_peers_new();
    struct sockaddr_in at = loopback(0);
    struct sockaddr_un none = {.sun_family = AF_UNIX, .sun_path = "/nonexistent/socket"};
    struct sockaddr_storage from = {0};
    (void)state;
    int closed = listen_at((struct sockaddr *)&at, sizeof at);
    struct sockaddr_in to = loopback(port_of(closed));
    close(closed);
    int fd = new_socket(AF_INET);
    assert_int_equal(own_peers_connect(peers, fd, (struct sockaddr *)&to, sizeof to), ECONNREFUSED);
    uint16_t port = port_of(fd);
    own_peers_forget(peers, fd);
    close(fd);
    *(struct sockaddr_in *)&from = loopback(port);
    assert_false(own_peers_take(peers, &from));
    fd = new_socket(AF_UNIX);
    assert_int_equal(own_peers_connect(peers, fd, (struct sockaddr *)&none, sizeof none), ENOENT);
    close(fd);
    own_peers_unref(own_peers_ref(peers));
    own_peers_unref(peers);
    own_peers_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_connects_from_here_is_known_by_his_port),
        cmocka_unit_test(test_also_where_a_server_listens_for_both_families),
        cmocka_unit_test(test_a_connection_that_fails_says_why_and_is_no_place_for_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
