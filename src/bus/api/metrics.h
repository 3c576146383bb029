#ifndef TIDINGS_BUS_API_METRICS_H
#define TIDINGS_BUS_API_METRICS_H

#include "base/buf.h"
#include "bus/api/cluster.h"
#include "bus/http/http.h"

/*
 * What /metrics says: of the bus under the names of kafka_exporter, so that dashboards made for it
 * work, and of this process under tidings_ and process_. Text format 0.0.4 (base/prometheus.h).
 */

enum { METRICS_SAMPLES_MAX = 500000 }; /* of the bus, in one answer */

/* Brokers, topics, groups; all kinds have their heads, also when there is nothing of them. What is
 * beyond METRICS_SAMPLES_MAX is left out and counted. Pure. */
void metrics_cluster(const struct cluster_view *view, struct buf *text);

/* The HTTP server's own counts. Pure. */
void metrics_http(const struct http_counts *counts, struct buf *text);

/* Of this process: version, memory, time of CPU, open files, start. */
void metrics_process(struct buf *text);

#endif
