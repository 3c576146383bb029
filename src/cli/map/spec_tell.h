#ifndef TIDINGS_CLI_SPEC_TELL_H
#define TIDINGS_CLI_SPEC_TELL_H

#include <jansson.h>

/* Prints what bus/spec_compare.h found for people: who breaks first, then what is otherwise and
 * breaks nobody, then one line that sums it up. */
void spec_tell(const json_t *report, const char *file);

#endif
