#ifndef TIDINGS_BASE_XML_H
#define TIDINGS_BASE_XML_H

#include "base/buf.h"
#include "base/slice.h"

/*
 * Appends bytes of any kind as the text of XML, HTML or SVG, between tags or within an attribute:
 * & < > " and ' as entities; newlines and what can be shown (utf8_printable) as they are; all else,
 * and U+FFFE and U+FFFF, which XML has no place for, byte by byte as \xNN. So the document stays
 * well-formed, and no text can become markup.
 */
void xml_escape(struct buf *to, struct slice text);

#endif
