#ifndef TIDINGS_CLI_HTTP_CLIENT_H
#define TIDINGS_CLI_HTTP_CLIENT_H

#include "cli/bus/bus.h"

#include <jansson.h>

/*
 * What the bus layer tells by HTTP, for verbs that ask it (why, map, who, client). Its address is
 * --url or TIDINGS_URL, else what the bus says of itself: its broker config http.advertised.url.
 * libcurl is loaded at the first call, not linked.
 */

/* The row of --url, filling options->url: for verbs that ask by HTTP, beside bus_option_set. */
struct option_set http_option_set(struct bus_options *options);

/*
 * GETs a path with its query ("/v1/map?at=-1h"; parts made by http_client_path). 0: *out is the
 * JSON, the caller's. Else the exit code: what went wrong and what to do was said on standard
 * error, in the server's own words where it sent a problem+json, and *out is NULL.
 */
int http_get_json(const struct bus_options *options, const char *path, json_t **out);

/* The same with a status that the caller wants to see itself: *status is 0 when no answer came (and
 * that was said). A problem's JSON is given out as well, and nothing is said of it. */
int http_ask_json(const struct bus_options *options, const char *method, const char *path,
                  json_t *body, unsigned *status, json_t **out);

/* For who goes on without an answer: a GET from a bus layer at `url`, of which nothing is said.
 * False: none came, or what came is no JSON. A problem's JSON is an answer. */
bool http_try_json(const struct bus_options *options, const char *url, const char *path,
                   json_t **out);

/* Whether the bus layer's address can be found; nothing is said when not. *url (NULL: not wanted)
 * is the caller's. */
bool http_client_url(const struct bus_options *options, char **url);

/* `format` with each %s percent-encoded as a part of a path or query (RFC 3986, unreserved letters
 * stay); only %s and %%. Free it. */
char *http_client_path(const char *format, ...);

#endif
