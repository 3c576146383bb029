#include "cli/base/suggest.h"
#include "cli/bus/map_ask.h"

#include <stdlib.h>

struct who_options {
    struct bus_options bus;
    const char *at;
};

static const struct help_page page = {
    .name = "tidings who",
    .usage = "TYPE [OPTIONS]",
    .about = "Shows who publishes events of a type (or to a topic whose events have no type), who\n"
             "consumes them, what they cause and what causes them, as it was observed.",
    .examples = "  tidings who OrderPlaced\n"
                "  tidings who OrderPlaced --json | jq -r '.consumers[].name'\n",
};

static const struct option_spec specs[] = {
    {0, "at", "TIME", OPTION_TEXT, offsetof(struct who_options, at), 0, 0,
     "as it was at this time: -1h, 2026-02-01T12:00"},
};

/* The problem has the types that were seen: the nearest is the hint. */
static int fail_unknown(const char *type, const json_t *problem)
{
    const json_t *types = json_object_get(problem, "types");
    size_t count = json_array_size(types);
    const char **names = calloc(count + 1, sizeof *names);
    size_t known = 0;
    for (size_t i = 0; names != NULL && i < count; i++) {
        const char *name = json_string_value(json_array_get(types, i));
        if (name != NULL) {
            names[known++] = name;
        }
    }
    const char *near = names != NULL ? suggest_nearest(type, names, known) : NULL;
    char hint[400];
    if (near != NULL) {
        snprintf(hint, sizeof hint, "did you mean '%s'? All: tidings map", near);
    } else {
        snprintf(hint, sizeof hint, "see all types with: tidings map");
    }
    free(names);
    json_int_t left_out = json_integer_value(json_object_get(problem, "left_out"));
    if (left_out > 0) {
        return cli_fail(EXIT_NOT_FOUND,
                        near != NULL ? hint
                                     : "merge services that are one by lines in DATA/bus/map.rules",
                        "'%s' is not in the map, which is full: about %" JSON_INTEGER_FORMAT
                        " services, types and flows have no place in it, and this may be one",
                        type, left_out);
    }
    return cli_fail(EXIT_NOT_FOUND, hint, "no event of type '%s' was seen", type);
}

static int run(const struct who_options *options, const char *type)
{
    json_t *answer = NULL;
    unsigned status = 0;
    bool is_json = options->bus.is_json;
    char *path = http_client_path("/v1/who/%s?format=%s&at=%s", type, is_json ? "json" : "text",
                                  options->at != NULL ? options->at : "now");
    int code = http_ask_json(&options->bus, "GET", path, NULL, &status, &answer);
    free(path);
    if (status == 404 && json_is_array(json_object_get(answer, "types"))) {
        code = fail_unknown(type, answer);
        json_decref(answer);
        return code;
    }
    if (status >= 300) {
        const char *detail = json_string_value(json_object_get(answer, "detail"));
        code = cli_fail(EXIT_FAILED, NULL, "cannot tell: %s",
                        detail != NULL ? detail : "the bus layer said no");
        json_decref(answer);
        return code;
    }
    return code != EXIT_OK || answer == NULL ? code : map_ask_print(answer, !is_json, NULL);
}

int cli_who(int argc, char **argv)
{
    struct who_options options = {.bus = bus_options_default()};
    struct option_set sets[] = {{"Options", specs, sizeof specs / sizeof specs[0], &options},
                                http_option_set(&options.bus),
                                bus_option_set(&options.bus)};
    struct text_list arguments = {0};
    int code;
    if (options_parse(&page, sets, 3, argc, argv, &arguments, &code)) {
        code = arguments.count == 1 ? run(&options, arguments.items[0])
                                    : options_fail(&page, "give one TYPE, as OrderPlaced");
    }
    text_list_deinit(&arguments);
    options_deinit(sets, 3);
    return code;
}
