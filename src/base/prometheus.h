#ifndef TIDINGS_BASE_PROMETHEUS_H
#define TIDINGS_BASE_PROMETHEUS_H

#include "base/buf.h"

/*
 * Prometheus's text format 0.0.4. A metric's samples stand together below its head:
 *
 *     prometheus_head(text, "kafka_consumergroup_lag", "gauge", "Offsets left to read.");
 *     prometheus_name(text, "kafka_consumergroup_lag");
 *     prometheus_label(text, "topic", name);
 *     prometheus_value(text, 42);
 *
 * All append to the text. One thread a text.
 */

/* The lines HELP and TYPE (counter, gauge, histogram). help is a sentence without line breaks. */
void prometheus_head(struct buf *text, const char *name, const char *type, const char *help);

/* Begins a sample. */
void prometheus_name(struct buf *text, const char *name);

/* A label of the sample; its value may be any text: it is escaped, and bytes that are no UTF-8 are
 * replaced by U+FFFD. */
void prometheus_label(struct buf *text, const char *name, const char *value);
void prometheus_label_number(struct buf *text, const char *name, long long value);

/* Ends the sample. */
void prometheus_value(struct buf *text, double value);

/* Head and the only sample, without labels. */
void prometheus_one(struct buf *text, const char *name, const char *type, const char *help,
                    double value);

#endif
