#ifndef TIDINGS_FUZZ_FUZZ_WIRE_H
#define TIDINGS_FUZZ_FUZZ_WIRE_H

#include "wire/codec.h"

/*
 * An input is the decoder's number (INT16, left out when FUZZ_DECODER names one), the version
 * (INT16) and the message. Numbers go on after wire_codecs with the two headers.
 */
enum { FUZZ_HEADERS = 2 };

/* The number of a decoder, "request_header" and "response_header" included; -1 for none. */
int fuzz_decoder_find(const char *name);

#endif
