#include "cli/group/group_instances.h"

#include "base/mem.h"
#include "cli/bus/raw_bus.h"
#include "wire/generated/describe_groups.h"
#include "wire/generated/find_coordinator.h"

#include <string.h>

enum { FIND_VERSION = 2, DESCRIBE_VERSION = 4 /* the first with instance ids */, OF_GROUP = 0 };

static bool is_unclear(const struct admin_member *member)
{
    size_t size = strlen(member->client_id);
    return member->instance_id == NULL && size > 0 &&
           strncmp(member->id, member->client_id, size) == 0 && member->id[size] == '-';
}

static bool has_unclear(const struct admin_group *group)
{
    for (size_t i = 0; i < group->members.count; i++) {
        if (is_unclear(&group->members.items[i])) {
            return true;
        }
    }
    return false;
}

/* The coordinator's place among the brokers, asked of that one; false: it does not know. */
static bool ask_coordinator(struct raw_bus *bus, size_t broker, const char *name, size_t *found)
{
    struct raw_request request;
    struct raw_answer answer;
    struct find_coordinator_request body;
    struct find_coordinator_response told;
    struct reason reason;
    find_coordinator_request_init(&body);
    body.key = slice_str(name);
    body.key_type = OF_GROUP;
    raw_request_init(&request, API_KEY_FIND_COORDINATOR, FIND_VERSION);
    find_coordinator_request_encode(&request.writer, FIND_VERSION, &body);
    bool is_told =
        raw_bus_ask(bus, broker, &request, &answer, &reason) == ERR_NONE &&
        find_coordinator_response_decode(&answer.reader, FIND_VERSION, &told) == ERR_NONE &&
        told.error_code == 0;
    for (*found = 0; is_told && *found < bus->brokers.count; (*found)++) {
        if (bus->brokers.items[*found].id == told.node_id) {
            break;
        }
    }
    raw_answer_deinit(&answer);
    raw_request_deinit(&request);
    return is_told && *found < bus->brokers.count;
}

static void take(struct admin_group *group, const struct describe_groups_response_group *from)
{
    for (int32_t i = 0; i < from->members_count; i++) {
        const struct describe_groups_response_member *member = &from->members[i];
        for (size_t j = 0; j < group->members.count; j++) {
            struct admin_member *to = &group->members.items[j];
            if (!slice_is_null(member->group_instance_id) && is_unclear(to) &&
                slice_equal_str(member->member_id, to->id)) {
                to->instance_id = mem_strndup((const char *)member->group_instance_id.data,
                                              member->group_instance_id.size);
            }
        }
    }
}

static void ask_members(struct raw_bus *bus, size_t coordinator, const char *name,
                        struct admin_group *group)
{
    struct raw_request request;
    struct raw_answer answer;
    struct describe_groups_request body;
    struct describe_groups_response told;
    struct slice names[] = {slice_str(name)};
    struct reason reason;
    describe_groups_request_init(&body);
    body.groups = names;
    body.groups_count = 1;
    raw_request_init(&request, API_KEY_DESCRIBE_GROUPS, DESCRIBE_VERSION);
    describe_groups_request_encode(&request.writer, DESCRIBE_VERSION, &body);
    if (raw_bus_ask(bus, coordinator, &request, &answer, &reason) == ERR_NONE &&
        describe_groups_response_decode(&answer.reader, DESCRIBE_VERSION, &told) == ERR_NONE &&
        told.groups_count == 1) {
        take(group, &told.groups[0]);
    }
    raw_answer_deinit(&answer);
    raw_request_deinit(&request);
}

void group_instances_fill(const struct bus_options *options, const char *name,
                          struct admin_group *group)
{
    struct raw_bus bus;
    struct reason reason;
    size_t coordinator;
    if (!has_unclear(group)) {
        return;
    }
    bool goes_on = raw_bus_init(&bus, options, &reason) == ERR_NONE;
    for (size_t i = 0; goes_on && i < bus.brokers.count; i++) {
        if (ask_coordinator(&bus, i, name, &coordinator)) {
            ask_members(&bus, coordinator, name, group);
            goes_on = false;
        }
    }
    raw_bus_deinit(&bus);
}
