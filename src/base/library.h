#ifndef TIDINGS_BASE_LIBRARY_H
#define TIDINGS_BASE_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Libraries that are loaded when somebody wants what they are for, so that services which do not
 * need neither them nor what they bring along.
 */

/* POSIX has functions as pointers to data; they are called by their own types. */
typedef void library_function(void);

/*
 * Loads the first of these files (NULL-terminated) that is there, and fills functions[] with those
 * of names[] (NULL-terminated). Never unloaded: its threads may outlive any use. False: `why` says
 * what is missing. Any thread.
 */
bool library_load(const char *const *files, const char *const *names, library_function **functions,
                  char *why, size_t why_size);

/* The table of functions: FUNCTIONS(each) names them; CALL(table, name)(arguments). */
#define LIBRARY_AT(name)          AT_##name,
#define LIBRARY_NAME(name)        #name,
#define LIBRARY_CALL(table, name) ((__typeof__(&name))(table)[AT_##name])

#endif
