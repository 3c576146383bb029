#ifndef TIDINGS_CLI_EVENT_PRINT_H
#define TIDINGS_CLI_EVENT_PRINT_H

#include "client/event/event.h"

/* How `subscribe` shows an event. */
enum event_look {
    LOOK_LINE,     /* for people */
    LOOK_JSON,     /* one object a line */
    LOOK_VALUE,    /* the value, then a line break or NUL */
    LOOK_TEMPLATE, /* as the user wants it */
};

struct event_print {
    enum event_look look;
    bool has_headers; /* LOOK_LINE: a line for each below */
    bool has_colours; /* LOOK_LINE */
    bool is_nul;      /* LOOK_VALUE */
    bool is_terminal; /* LOOK_VALUE, LOOK_TEMPLATE: not byte for byte, but as utf8_escape has it */
    const char *template;
};

/*
 * Checks a template: text with %t topic, %p partition, %o offset, %T time in ms, %d time as text,
 * %k key, %s value, %S size of the value (-1: none), %h headers as NAME=VALUE with commas,
 * %{NAME} the last header of that name, %%, and \n \t \r \0 \\. ERR_INVALID says what is wrong.
 */
CHECKED enum err event_template_check(const char *template, struct reason *reason);

/* Appends the event. Pure. */
void event_print(const struct event_print *print, const struct event *event, struct buf *text);

#endif
