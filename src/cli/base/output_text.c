#include "cli/base/output_text.h"

#include "base/text_format.h"

void output_text_list(FILE *to, const char *format, va_list args)
{
    struct buf text = {0};
    text_format_escaped(&text, format, args);
    fwrite(text.data, 1, text.size, to);
    buf_deinit(&text);
}

void output_text(FILE *to, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    output_text_list(to, format, args);
    va_end(args);
}
