#ifndef TIDINGS_BASE_OWN_PEERS_H
#define TIDINGS_BASE_OWN_PEERS_H

#include <stdbool.h>
#include <sys/socket.h>

/*
 * Which connections of a server come from its own process: so that what stands beside it there
 * takes no place of a client's, and is not shown as one.
 *
 * Who connects binds his socket to an address and a port first, which the kernel then gives to
 * nobody else, and notes them here; the server knows the peer by them. No word of a client can make
 * it one of ours. Any thread.
 */
struct own_peers;

/* With one reference; the last unref frees it. NULL is fine for unref. */
struct own_peers *own_peers_new(void);
struct own_peers *own_peers_ref(struct own_peers *peers);
void own_peers_unref(struct own_peers *peers);

/*
 * connect(2) of a socket that is not bound yet, as one of ours: 0 or errno; EINPROGRESS, of one
 * that does not block, is 0. Where the address is not one of this machine (an advertised address
 * behind a translation), nothing is noted and the connection is like any other.
 */
int own_peers_connect(struct own_peers *peers, int fd, const struct sockaddr *to, socklen_t size);

/* Before such a socket is closed. */
void own_peers_forget(struct own_peers *peers, int fd);

/* The server accepted a connection from this address: whether it is ours. Once for each. */
bool own_peers_take(struct own_peers *peers, const struct sockaddr_storage *from);

#endif
