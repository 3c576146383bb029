#include "group/consumer_assign.h"

static const struct {
    const char *name;
    void (*assign)(struct assign_spec *spec);
} assignors[ASSIGNOR_COUNT] = {
    [ASSIGNOR_UNIFORM] = {"uniform", consumer_assign_uniform},
    [ASSIGNOR_RANGE] = {"range", consumer_assign_range},
};

const char *consumer_assignor_name(enum consumer_assignor assignor)
{
    return assignors[assignor].name;
}

bool consumer_assignor_find(struct slice name, enum consumer_assignor *out)
{
    for (int i = 0; i < ASSIGNOR_COUNT; i++) {
        if (slice_equal_str(name, assignors[i].name)) {
            *out = (enum consumer_assignor)i;
            return true;
        }
    }
    return false;
}

void consumer_assign(enum consumer_assignor assignor, struct assign_spec *spec)
{
    assignors[assignor].assign(spec);
    for (size_t m = 0; m < spec->member_count; m++) {
        partition_set_sort(&spec->members[m].target);
    }
}
