#ifndef TIDINGS_BASE_ADDRESS_H
#define TIDINGS_BASE_ADDRESS_H

#include <stdbool.h>

enum { ADDRESS_HOST_SIZE = 256 };

/*
 * Takes an address to listen at apart: "127.0.0.1:9100", "[::1]:9100", "name:0", ":9100" (an empty
 * host: any address). The host is copied, without brackets; the port, 0 to 65535, points into text.
 * False when it is no such address. Any thread.
 */
bool address_split(const char *text, char host[ADDRESS_HOST_SIZE], const char **port);

#endif
