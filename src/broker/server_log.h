#ifndef TIDINGS_BROKER_SERVER_LOG_H
#define TIDINGS_BROKER_SERVER_LOG_H

#include "client/event/log_access.h"
#include "topic/catalogue.h"

/*
 * The server's own log for who asks for single events (client/event/log_access.h) and may outlive
 * the server: once it is closed each question is answered by ERR_CLOSED, and nothing of the
 * server's is touched any more.
 */

/* With one reference, for log_access_unref. It is closed until server_log_open. */
struct log_access *server_log_new(void);
struct log_access *server_log_ref(struct log_access *log);

/* The catalogue stays until server_log_close. */
void server_log_open(struct log_access *log, struct catalogue *catalogue);

/* Those who are reading are given no more, and are waited for: as long as the disk takes for a
 * piece of the log, and what they do with the event in hand. */
void server_log_close(struct log_access *log);

#endif
