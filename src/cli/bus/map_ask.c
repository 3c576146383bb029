#include "cli/bus/map_ask.h"

#include "base/mem.h"
#include "cli/base/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int write_file(const char *file, const char *text, size_t size)
{
    FILE *to = fopen(file, "we");
    bool is_written = to != NULL && fwrite(text, 1, size, to) == size;
    int failure = errno;
    if (to != NULL && fclose(to) != 0 && is_written) {
        is_written = false;
        failure = errno;
    }
    if (!is_written) {
        return cli_fail(EXIT_FAILED, "name another file with --output, or none", //
                        "cannot write '%s': %s", file, strerror(failure));
    }
    return EXIT_OK;
}

static void print_lines(const char *text)
{
    while (*text != '\0') {
        size_t size = strcspn(text, "\n");
        char *line = mem_strndup(text, size);
        output_text(stdout, "%s\n", line);
        free(line);
        text += size + (text[size] == '\n');
    }
}

int map_ask_print(json_t *answer, bool is_text, const char *file)
{
    const char *text = json_string_value(json_object_get(answer, "text"));
    int code = EXIT_OK;
    if (is_text && text == NULL) {
        code = cli_fail(EXIT_FAILED, "is it another version? See: tidings version",
                        "the bus layer's answer is not what was asked for");
    } else if (is_text && file != NULL) {
        code = write_file(file, text, strlen(text));
    } else if (is_text) {
        print_lines(text);
    } else if (file != NULL) {
        char *dumped = json_dumps(answer, JSON_INDENT(2));
        code = write_file(file, dumped, strlen(dumped));
        free(dumped);
    } else {
        output_json(json_incref(answer));
    }
    json_decref(answer);
    return output_finish(code);
}
