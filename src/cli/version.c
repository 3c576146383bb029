#include "cli/base/cli.h"

#include "cli/base/options.h"
#include "cli/base/output.h"
#include "cli/base/output_text.h"
#include "client/connection/connection.h"

#include <stdio.h>

struct version_options {
    bool is_json;
};

int cli_version(int argc, char **argv)
{
    static const struct help_page page = {
        .name = "tidings version",
        .usage = "[OPTIONS]",
        .about = "Prints the versions of Tidings and of the client library in it.",
        .examples = "  tidings version --json | jq -r .version\n",
    };
    static const struct option_spec specs[] = {
        {'j', "json", NULL, OPTION_FLAG, offsetof(struct version_options, is_json), 0, 0,
         "print JSON for programs"},
    };
    struct version_options options = {0};
    struct option_set set = {"Options", specs, 1, &options};
    struct text_list arguments = {0};
    int code;
    if (!options_parse(&page, &set, 1, argc, argv, &arguments, &code)) {
        return code;
    }
    if (arguments.count > 0) {
        code = options_fail(&page, "version takes no argument '%s'", arguments.items[0]);
    } else if (options.is_json) {
        output_json(json_pack("{s:s,s:s}", "version", TIDINGS_VERSION, "librdkafka",
                              client_library_version()));
    } else {
        output_text(stdout, "tidings %s (librdkafka %s)\n", TIDINGS_VERSION,
                    client_library_version());
    }
    text_list_deinit(&arguments);
    return code == EXIT_OK ? output_finish(code) : code;
}
