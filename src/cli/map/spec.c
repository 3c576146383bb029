#include "bus/spec/spec_compare.h"
#include "cli/base/options.h"
#include "cli/base/output.h"
#include "cli/bus/http_client.h"
#include "cli/bus/map_ask.h"
#include "cli/map/spec_tell.h"

#include <errno.h>
#include <string.h>

struct spec_options {
    struct bus_options bus;
    const char *check;
    const char *output;
    bool is_baseline, is_lenient;
};

static const struct help_page page = {
    .name = "tidings spec",
    .usage = "[OPTIONS]",
    .about =
        "Prints an AsyncAPI 3.0 document (JSON) of what was observed on the bus: topics, event\n"
        "types with schemas inferred from their payloads, and who sends and receives them.\n"
        "Payloads are never shown; few short words that come again and again are an enum.\n"
        "\n"
        "With --check it compares a document with the bus, for builds: exit code 1 when events as\n"
        "the document has them would break somebody who consumes them now, each named with the\n"
        "field that is lost, may be missing or gets another type. What is added passes, and so\n"
        "does what nobody consumes. With --baseline the document is what was agreed on, and what\n"
        "is on the bus now may not have broken it.",
    .examples = "  tidings spec -o asyncapi.json               keep it in your repository\n"
                "  tidings spec --check asyncapi.json          would this change break anybody?\n"
                "  tidings spec --check agreed.json --baseline does the bus still keep to it?\n"
                "  tidings spec --check new.json --json | jq -r '.types[].consumers[].service'\n"
                "  yq -o json new.yaml | tidings spec --check -\n",
};

static const struct option_spec specs[] = {
    {0, "check", "FILE", OPTION_TEXT, offsetof(struct spec_options, check), 0, 0,
     "compare this AsyncAPI 3 document (JSON; -: standard input) with the bus"},
    {0, "baseline", NULL, OPTION_FLAG, offsetof(struct spec_options, is_baseline), 0, 0,
     "FILE is what was, the bus what became of it (default: the other way)"},
    {0, "lenient", NULL, OPTION_FLAG, offsetof(struct spec_options, is_lenient), 0, 0,
     "what only may happen (missing, null, a further type) does not fail"},
    {'o', "output", "FILE", OPTION_TEXT, offsetof(struct spec_options, output), 0, 0,
     "write to this file"},
};

static json_t *read_document(const char *file)
{
    json_error_t error;
    bool is_input = strcmp(file, "-") == 0;
    json_t *json = is_input ? json_loadf(stdin, 0, &error) : json_load_file(file, 0, &error);
    if (json == NULL && json_error_code(&error) == json_error_cannot_open_file) {
        cli_fail(EXIT_USAGE, "make one with: tidings spec -o asyncapi.json", "cannot read '%s': %s",
                 file, strerror(errno));
    } else if (json == NULL) {
        cli_fail(EXIT_USAGE, "a YAML document is made JSON by: yq -o json FILE",
                 "cannot read '%s' as JSON: line %d: %s", is_input ? "standard input" : file,
                 error.line, error.text);
    }
    return json;
}

static int tell(const struct spec_options *options, json_t *report)
{
    bool breaks = json_is_true(json_object_get(report, "breaks"));
    if (options->bus.is_json) {
        output_json(report);
    } else {
        spec_tell(report, strcmp(options->check, "-") != 0 ? options->check : "standard input");
        json_decref(report);
    }
    return output_finish(breaks ? EXIT_FAILED : EXIT_OK);
}

static int check(const struct spec_options *options)
{
    struct spec_compare_options how = {options->is_baseline, options->is_lenient};
    json_t *observed = NULL, *report, *file = read_document(options->check);
    struct reason reason;
    if (file == NULL) {
        return EXIT_USAGE;
    }
    int code = http_get_json(&options->bus, "/v1/spec", &observed);
    if (code == EXIT_OK) {
        code = spec_compare(observed, file, &how, &report, &reason) == ERR_NONE
                   ? tell(options, report)
                   : cli_fail(EXIT_USAGE, NULL, "cannot compare '%s': %s", options->check,
                              reason.text);
    }
    json_decref(observed);
    json_decref(file);
    return code;
}

static int run(const struct spec_options *options)
{
    json_t *answer;
    if (options->check == NULL && (options->is_baseline || options->is_lenient)) {
        return options_fail(&page, "--baseline and --lenient go with --check FILE");
    }
    if (options->check != NULL && options->output != NULL) {
        return options_fail(&page, "--output goes with no --check: what that finds is printed");
    }
    if (options->check != NULL) {
        return check(options);
    }
    int code = http_get_json(&options->bus, "/v1/spec", &answer);
    return code != EXIT_OK ? code : map_ask_print(answer, false, options->output);
}

int cli_spec(int argc, char **argv)
{
    struct spec_options options = {.bus = bus_options_default()};
    struct option_set sets[] = {{"Options", specs, sizeof specs / sizeof specs[0], &options},
                                http_option_set(&options.bus),
                                bus_option_set(&options.bus)};
    struct text_list arguments = {0};
    int code;
    if (options_parse(&page, sets, 3, argc, argv, &arguments, &code)) {
        code = arguments.count > 0
                   ? options_fail(&page, "takes no argument '%s': a document is given by --check",
                                  arguments.items[0])
                   : run(&options);
    }
    text_list_deinit(&arguments);
    options_deinit(sets, 3);
    return code;
}
