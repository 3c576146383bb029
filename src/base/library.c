#include "base/library.h"

#include <dlfcn.h>
#include <stdio.h>

bool library_load(const char *const *files, const char *const *names, library_function **functions,
                  char *why, size_t why_size)
{
    void *library = NULL;
    for (const char *const *file = files; library == NULL && *file != NULL; file++) {
        library = dlopen(*file, RTLD_NOW | RTLD_LOCAL);
    }
    if (library == NULL) {
        snprintf(why, why_size, "%s cannot be loaded", files[0]);
        return false;
    }
    for (size_t i = 0; names[i] != NULL; i++) {
        union {
            void *data;
            library_function *function;
        } found = {.data = dlsym(library, names[i])};
        if (found.data == NULL) {
            snprintf(why, why_size, "%s has no %s", files[0], names[i]);
            return false;
        }
        functions[i] = found.function;
    }
    return true;
}
