#ifndef TESTS_UNIT_SDK_HTTP_GET_H
#define TESTS_UNIT_SDK_HTTP_GET_H

#include "service_fixture.h"

/* The port that a service's log names. */
int shown_port(struct seen *lines);

/* What comes back of "METHOD PATH": the status; the body is put into *body, to be freed. */
int http_ask(int port, const char *method, const char *path, char **body);

/* Asks until the status is that, and the body has this part. */
void http_wait(int port, const char *path, int status, const char *part);

/* The value of a line of /metrics, name and labels as given; -1: there is none. */
double metric(int port, const char *line);
void metric_wait(int port, const char *line, double value);

#endif
