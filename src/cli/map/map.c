#include "cli/bus/map_ask.h"

#include <stdlib.h>
#include <string.h>

struct map_options {
    struct bus_options bus;
    const char *format;
    const char *at;
    const char *diff;
    const char *output;
};

static const struct help_page page = {
    .name = "tidings map",
    .usage = "[OPTIONS]",
    .about =
        "Shows who publishes what, who consumes it, and what causes what, as it was observed: "
        "from\n"
        "the events themselves, from consumer groups, and (in `tidings serve`) from connections.\n"
        "Services need to know nothing of it. What is not certain is told as a guess.",
    .examples = "  tidings map\n"
                "  tidings map -o map.svg                      a picture; also .dot, .mmd, .json\n"
                "  tidings map --at 2026-02-01T12:00           as it was then\n"
                "  tidings map --diff 7d                       what is new, gone or otherwise\n",
};

static const struct option_spec specs[] = {
    {'f', "format", "FORM", OPTION_TEXT, offsetof(struct map_options, format), 0, 0,
     "text, json, dot, mermaid or svg (default: by the end of --output's\n"
     "name, else text)"},
    {0, "at", "TIME", OPTION_TEXT, offsetof(struct map_options, at), 0, 0,
     "as it was at this time: -1h, 2026-02-01T12:00"},
    {0, "diff", "DURATION", OPTION_TEXT, offsetof(struct map_options, diff), 0, 0,
     "what is otherwise than so long before: 1h, 7d"},
    {'o', "output", "FILE", OPTION_TEXT, offsetof(struct map_options, output), 0, 0,
     "write to this file"},
};

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), end_size = strlen(end);
    return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

static const char *format_of(const struct map_options *options)
{
    static const char *const ends[][2] = {
        {".svg", "svg"}, {".dot", "dot"}, {".gv", "dot"}, {".mmd", "mermaid"}, {".json", "json"}};
    for (size_t i = 0; options->output != NULL && i < sizeof ends / sizeof ends[0]; i++) {
        if (ends_with(options->output, ends[i][0])) {
            return ends[i][1];
        }
    }
    return options->bus.is_json ? "json" : "text";
}

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (strcmp(text, *words) == 0) {
            return true;
        }
    }
    return false;
}

static int run(struct map_options *options)
{
    static const char *const formats[] = {"text", "json", "dot", "mermaid", "svg", NULL};
    static const char *const diff_formats[] = {"text", "json", NULL};
    const char *format = options->format != NULL ? options->format : format_of(options);
    json_t *answer;
    if (!is_one_of(format, formats)) {
        return options_fail(&page, "--format is text, json, dot, mermaid or svg, not '%s'", format);
    }
    if (options->diff != NULL && !is_one_of(format, diff_formats)) {
        return options_fail(&page, "what --diff finds is text or json, not %s", format);
    }
    char *path = http_client_path("/v1/map?format=%s&at=%s", format,
                                  options->at != NULL ? options->at : "now");
    if (options->diff != NULL) {
        free(path);
        path = http_client_path("/v1/map?format=%s&at=%s&diff=%s", format,
                                options->at != NULL ? options->at : "now", options->diff);
    }
    int code = http_get_json(&options->bus, path, &answer);
    free(path);
    return code != EXIT_OK ? code
                           : map_ask_print(answer, strcmp(format, "json") != 0, options->output);
}

int cli_map(int argc, char **argv)
{
    struct map_options options = {.bus = bus_options_default()};
    struct option_set sets[] = {{"Options", specs, sizeof specs / sizeof specs[0], &options},
                                http_option_set(&options.bus),
                                bus_option_set(&options.bus)};
    struct text_list arguments = {0};
    int code;
    if (options_parse(&page, sets, 3, argc, argv, &arguments, &code)) {
        code = arguments.count > 0 ? options_fail(&page,
                                                  "takes no argument '%s': one type is "
                                                  "shown by tidings who TYPE",
                                                  arguments.items[0])
                                   : run(&options);
    }
    text_list_deinit(&arguments);
    options_deinit(sets, 3);
    return code;
}
