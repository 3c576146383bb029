#ifndef TIDINGS_CLI_STATUS_BUS_H
#define TIDINGS_CLI_STATUS_BUS_H

#include "cli/bus/bus.h"

/*
 * What can be known of a bus from any machine: by the Kafka protocol, of any cluster, and by the
 * HTTP of the bus layer, where one is known. What only the server's own machine knows is named.
 */

/* Asks and prints; what is not answered is not known, and that is told. Returns the exit code. */
int status_bus(const struct bus_options *options);

#endif
