#ifndef TIDINGS_CLI_GROUP_INSTANCES_H
#define TIDINGS_CLI_GROUP_INSTANCES_H

#include "cli/bus/bus.h"

/*
 * Fills instance_id of the members of a group whose id may be made of either, client id or instance
 * id, as both are the same (client/admin/admin.h cannot tell): asked of the group's coordinator,
 * by raw_bus. Asks nothing where there is no such member; what is not answered
 * stays NULL.
 */
void group_instances_fill(const struct bus_options *options, const char *name,
                          struct admin_group *group);

#endif
