#ifndef TIDINGS_BUS_CONSOLE_CONSOLE_PAYLOAD_H
#define TIDINGS_BUS_CONSOLE_CONSOLE_PAYLOAD_H

#include "bus/console/console_page.h"

/* The inside of console.h: payloads of events, for people. */

enum payload_form { PAYLOAD_JSON, PAYLOAD_TEXT, PAYLOAD_HEX };

/* The bytes of an event's member ("value", "key") as event_to_json writes it; the null slice: there
 * are none. In the page's arena or its answers. */
struct slice payload_bytes(struct page *page, const json_t *event, const char *name);

/* The form that is wanted ("json", "text", "hex") as far as the bytes have it; else the first of
 * these that fits. */
enum payload_form payload_form_of(struct slice bytes, const char *wanted);

/* All of it, within 64 KiB. JSON is laid out anew, its numbers and strings as they are written. */
void payload_put(struct page *page, struct slice bytes, enum payload_form form);

/* How it begins, in one line. */
void payload_preview(struct page *page, struct slice bytes, enum payload_form form);

#endif
