#include "cli/group/group_types.h"

#include "base/mem.h"
#include "cli/base/name_choice.h"
#include "wire/generated/list_groups.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum { VERSION = 5 };

static void take(struct group_types *types, const struct list_groups_response *body)
{
    for (int32_t i = 0; i < body->groups_count; i++) {
        const struct list_groups_response_group *group = &body->groups[i];
        size_t index;
        if (!name_search(types->names, types->count, group->group_id, &index)) {
            continue;
        }
        char *type = types->items[index];
        snprintf(type, sizeof types->items[index], "%.*s", SLICE_ARGS(group->group_type));
        for (; *type != '\0'; type++) {
            *type = (char)tolower((unsigned char)*type);
        }
    }
}

void group_types_load(struct group_types *types, const struct bus_options *options)
{
    struct raw_bus bus;
    types->reason = (struct reason){""};
    types->items = mem_zalloc_array(types->count + 1, sizeof *types->items);
    enum err err = raw_bus_init(&bus, options, &types->reason);
    for (size_t i = 0; err == ERR_NONE && i < bus.brokers.count; i++) {
        struct raw_request request;
        struct raw_answer answer;
        struct list_groups_request body;
        struct list_groups_response groups;
        list_groups_request_init(&body);
        raw_request_init(&request, API_KEY_LIST_GROUPS, VERSION);
        list_groups_request_encode(&request.writer, VERSION, &body);
        enum err one = raw_bus_ask(&bus, i, &request, &answer, &types->reason);
        if (one == ERR_NONE) {
            one = list_groups_response_decode(&answer.reader, VERSION, &groups);
        }
        if (one == ERR_NONE) {
            take(types, &groups);
        } else if (types->reason.text[0] == '\0') {
            reason_set(&types->reason, "the answer cannot be read");
        }
        raw_answer_deinit(&answer);
        raw_request_deinit(&request);
    }
    raw_bus_deinit(&bus);
}

void group_types_deinit(struct group_types *types)
{
    free(types->items);
    types->items = NULL;
}

const char *group_type(const struct group_types *types, size_t index)
{
    return types->items[index][0] != '\0' ? types->items[index] : NULL;
}
