#ifndef TIDINGS_BUS_CONSOLE_CONSOLE_FILES_H
#define TIDINGS_BUS_CONSOLE_CONSOLE_FILES_H

#include <stddef.h>

/* The files of src/bus/console/ in the binary (console/embed.py makes them at build time). */
struct console_file {
    const char *name;    /* "console.css" */
    const char *path;    /* "/console/console.css" */
    const char *type;    /* content type */
    const char *version; /* changes with the content */
    const unsigned char *bytes;
    size_t size;
};

extern const struct console_file console_files[];
extern const size_t console_file_count;

#endif
