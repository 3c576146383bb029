#ifndef TIDINGS_STREAM_LOG_STRETCH_H
#define TIDINGS_STREAM_LOG_STRETCH_H

#include "client/event/log_access.h"
#include "topic/catalogue.h"

/* Reads a stretch out of a server's own log: what log_access_read promises, but that the catalogue
 * has to stay open meanwhile (broker/server_log.h sees to that). */
CHECKED enum err log_stretch_read(struct catalogue *catalogue, struct log_stretch *stretch,
                                  struct reason *reason);

#endif
