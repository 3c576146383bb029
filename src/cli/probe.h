#ifndef TIDINGS_CLI_PROBE_H
#define TIDINGS_CLI_PROBE_H

#include "base/err.h"

/*
 * Opens and closes a TCP connection to the addresses of a comma-separated list ("host:port", port
 * 9092 when missing, "[::1]:9092", "SSL://host:port") until one accepts. So a command can fail at
 * once where librdkafka would keep trying. ERR_IO or ERR_INVALID with what went wrong at the last
 * address; ERR_TIMEOUT when timeout_ms passed for each without an answer.
 */
CHECKED enum err probe_any(const char *addresses, int timeout_ms, struct reason *reason);

#endif
