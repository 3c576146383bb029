#include "cli/base/cli.h"
#include "cli/base/output_text.h"

#include <stdarg.h>
#include <stdio.h>

__attribute__((format(printf, 1, 0))) static void tell(const char *format, va_list args)
{
    fflush(stdout);
    fputs("tidings: ", stderr);
    output_text_list(stderr, format, args);
    fputc('\n', stderr);
}

int cli_fail(enum cli_exit code, const char *hint, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tell(format, args);
    va_end(args);
    if (hint != NULL) {
        output_text(stderr, "hint: %s\n", hint);
    }
    return (int)code;
}

void cli_warn(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tell(format, args);
    va_end(args);
}
