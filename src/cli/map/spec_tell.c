#include "cli/map/spec_tell.h"

#include "cli/base/output.h"

#include <string.h>

static const char *text_of(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));
    return text != NULL ? text : "";
}

/* "billing, mail (group mailer)": a group is said where it has another name. */
static void tell_consumers(const json_t *consumers)
{
    for (size_t i = 0; i < json_array_size(consumers); i++) {
        const json_t *consumer = json_array_get(consumers, i);
        const json_t *groups = json_object_get(consumer, "groups");
        const char *service = text_of(consumer, "service");
        const char *group = json_string_value(json_array_get(groups, 0));
        output_text(stdout, "%s%s", i > 0 ? ", " : "", service);
        if (group != NULL && (json_array_size(groups) > 1 || strcmp(group, service) != 0)) {
            output_text(stdout, json_array_size(groups) > 1 ? " (groups" : " (group");
            for (size_t j = 0; j < json_array_size(groups); j++) {
                group = json_string_value(json_array_get(groups, j));
                output_text(stdout, "%s%s", j > 0 ? ", " : " ", group != NULL ? group : "");
            }
            output_text(stdout, ")");
        }
    }
}

static void tell_differences(const json_t *differences, bool breaks)
{
    for (size_t i = 0; i < json_array_size(differences); i++) {
        const json_t *difference = json_array_get(differences, i);
        const char *field = text_of(difference, "field");
        if (json_is_true(json_object_get(difference, "breaks")) != breaks) {
            continue;
        }
        output_text(stdout, breaks ? "  breaks  " : "  passes  ");
        output_text(stdout, *field != '\0' ? "%s %s\n" : "%s%s\n", field,
                    text_of(difference, "text"));
    }
}

static void tell_type(const json_t *type, bool breaks)
{
    const json_t *consumers = json_object_get(type, "consumers");
    output_text(stdout, "%s: ", text_of(type, "type"));
    if (breaks) {
        output_text(stdout, "breaks ");
        tell_consumers(consumers);
    } else if (json_array_size(consumers) == 0) {
        output_text(stdout, "otherwise, and nobody consumes it");
    } else {
        output_text(stdout, "otherwise, and breaks nobody");
    }
    output_text(stdout, "\n");
    tell_differences(json_object_get(type, "differences"), true);
    tell_differences(json_object_get(type, "differences"), false);
}

static void tell_names(const char *what, const json_t *names)
{
    enum { MOST = 20 };
    size_t count = json_array_size(names);
    if (count == 0) {
        return;
    }
    output_text(stdout, "%s: ", what);
    for (size_t i = 0; i < count && i < MOST; i++) {
        output_text(stdout, "%s%s", i > 0 ? ", " : "", json_string_value(json_array_get(names, i)));
    }
    if (count > MOST) {
        output_text(stdout, " and %zu more", count - MOST);
    }
    output_text(stdout, "\n");
}

void spec_tell(const json_t *report, const char *file)
{
    const json_t *types = json_object_get(report, "types");
    size_t breaking = 0, others = 0;
    for (int turn = 0; turn < 2; turn++) {
        for (size_t i = 0; i < json_array_size(types); i++) {
            const json_t *type = json_array_get(types, i);
            bool breaks = json_is_true(json_object_get(type, "breaks"));
            if (breaks == (turn == 0)) {
                tell_type(type, breaks);
                breaking += breaks;
                others += !breaks;
            }
        }
    }
    tell_names("only in the file", json_object_get(report, "only_in_file"));
    tell_names("only on the bus (not compared)", json_object_get(report, "only_on_bus"));
    output_text(stdout, "%s: %zu breaking, %zu otherwise, %zu the same\n", file, breaking, others,
                json_array_size(json_object_get(report, "same")));
}
