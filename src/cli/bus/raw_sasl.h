#ifndef TIDINGS_CLI_RAW_SASL_H
#define TIDINGS_CLI_RAW_SASL_H

#include "cli/bus/raw_request.h"

/*
 * Logs in at a broker as the security says (PLAIN, SCRAM-SHA-256, SCRAM-SHA-512), by SaslHandshake
 * and SaslAuthenticate; behind raw_stream_open, before anything else. Does nothing without SASL.
 * ERR_IO: the broker refuses user or mechanism, and says why.
 */
CHECKED enum err raw_sasl_login(struct raw_stream *stream, const struct raw_security *security,
                                int64_t until_ms, struct reason *reason);

#endif
