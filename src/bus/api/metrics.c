#include "bus/api/metrics.h"

#include "base/mem.h"
#include "base/prometheus.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* --- the bus --- */

struct samples {
    const struct cluster_view *view;
    struct buf *text;
    size_t count, left_out;
};

/* Begins a sample, if there is room for it. */
static bool begin(struct samples *to, const char *name)
{
    if (to->count == METRICS_SAMPLES_MAX) {
        to->left_out++;
        return false;
    }
    to->count++;
    prometheus_name(to->text, name);
    return true;
}

static void of_partition(struct samples *to, const char *name, const char *topic, int32_t partition,
                         int64_t value)
{
    if (begin(to, name)) {
        prometheus_label(to->text, "topic", topic);
        prometheus_label_number(to->text, "partition", partition);
        prometheus_value(to->text, (double)value);
    }
}

typedef int64_t partition_value(const struct topic_ends *ends, size_t at);

static int64_t value_end(const struct topic_ends *ends, size_t at)
{
    return ends->error.status == CLIENT_OK ? ends->bounds[at].end : -1;
}

static int64_t value_start(const struct topic_ends *ends, size_t at)
{
    return ends->error.status == CLIENT_OK ? ends->bounds[at].start : -1;
}

static int64_t value_leader(const struct topic_ends *ends, size_t at)
{
    return ends->topic->partitions.items[at].leader;
}

static int64_t value_preferred(const struct topic_ends *ends, size_t at)
{
    const struct admin_partition *partition = &ends->topic->partitions.items[at];
    return partition->leader >= 0 && partition->leader == partition->preferred;
}

static int64_t value_replicas(const struct topic_ends *ends, size_t at)
{
    return ends->topic->partitions.items[at].replica_count;
}

static int64_t value_in_sync(const struct topic_ends *ends, size_t at)
{
    return ends->topic->partitions.items[at].in_sync_count;
}

static int64_t value_under_replicated(const struct topic_ends *ends, size_t at)
{
    const struct admin_partition *partition = &ends->topic->partitions.items[at];
    return partition->in_sync_count < partition->replica_count;
}

/* One kind for all partitions; those of which it is not known (below 0) only with `also_unknown`.
 */
static void partitions(struct samples *to, const char *name, const char *help,
                       partition_value *value, bool also_unknown)
{
    prometheus_head(to->text, name, "gauge", help);
    for (size_t i = 0; i < to->view->ends.count; i++) {
        const struct topic_ends *ends = &to->view->ends.items[i];
        for (size_t j = 0; j < ends->topic->partitions.count; j++) {
            int64_t number = value(ends, j);
            if (number >= 0 || also_unknown) {
                of_partition(to, name, ends->topic->name, ends->topic->partitions.items[j].id,
                             number);
            }
        }
    }
}

static void topics(struct samples *to)
{
    prometheus_head(to->text, "kafka_topic_partitions", "gauge",
                    "Number of partitions of the topic.");
    for (size_t i = 0; i < to->view->topics.count; i++) {
        const struct admin_topic *topic = &to->view->topics.items[i];
        if (begin(to, "kafka_topic_partitions")) {
            prometheus_label(to->text, "topic", topic->name);
            prometheus_value(to->text, (double)topic->partitions.count);
        }
    }
    partitions(to, "kafka_topic_partition_current_offset",
               "Offset behind the newest event of the partition.", value_end, false);
    partitions(to, "kafka_topic_partition_oldest_offset",
               "Offset of the oldest event that the partition still has.", value_start, false);
    partitions(to, "kafka_topic_partition_leader",
               "Broker that leads the partition; -1: none, it is offline.", value_leader, true);
    partitions(to, "kafka_topic_partition_leader_is_preferred",
               "1: the first of the partition's replicas leads it.", value_preferred, false);
    partitions(to, "kafka_topic_partition_replicas", "Replicas of the partition.", value_replicas,
               false);
    partitions(to, "kafka_topic_partition_in_sync_replica",
               "Replicas of the partition that are in sync.", value_in_sync, false);
    partitions(to, "kafka_topic_partition_under_replicated_partition",
               "1: some of the partition's replicas are not in sync.", value_under_replicated,
               false);
}

static void group_label(struct samples *to, const struct cluster_group *group)
{
    prometheus_label(to->text, "consumergroup", group->name);
}

static void group_one(struct samples *to, const char *name, const struct cluster_group *group,
                      int64_t value)
{
    if (begin(to, name)) {
        group_label(to, group);
        prometheus_value(to->text, (double)value);
    }
}

static void members(struct samples *to)
{
    prometheus_head(to->text, "kafka_consumergroup_members", "gauge",
                    "Members of the consumer group.");
    for (size_t i = 0; i < to->view->group_count; i++) {
        const struct cluster_group *group = &to->view->groups[i];
        if (group->error.status == CLIENT_OK) {
            group_one(to, "kafka_consumergroup_members", group,
                      (int64_t)group->about.members.count);
        }
    }
}

/* Of each partition, or with `sums` of each topic the sum of what is known. */
static void progress(struct samples *to, const char *name, const char *help, bool is_lag, bool sums)
{
    prometheus_head(to->text, name, "gauge", help);
    for (size_t i = 0; i < to->view->group_count; i++) {
        const struct cluster_group *group = &to->view->groups[i];
        int64_t sum = 0;
        for (size_t j = 0; j < group->progress.count; j++) {
            const struct cluster_progress *at = &group->progress.items[j];
            int64_t value = is_lag ? at->lag : at->committed;
            sum += value > 0 ? value : 0;
            bool is_last = j + 1 == group->progress.count || strcmp(at[1].topic, at->topic) != 0;
            if ((sums ? is_last : value >= 0) && begin(to, name)) {
                group_label(to, group);
                prometheus_label(to->text, "topic", at->topic);
                if (!sums) {
                    prometheus_label_number(to->text, "partition", at->partition);
                }
                prometheus_value(to->text, (double)(sums ? sum : value));
            }
            sum = is_last ? 0 : sum;
        }
    }
}

static void groups(struct samples *to)
{
    members(to);
    progress(to, "kafka_consumergroup_current_offset", "Committed offset of the group.", false,
             false);
    progress(to, "kafka_consumergroup_current_offset_sum",
             "Committed offsets of the group, of all partitions of the topic.", false, true);
    progress(to, "kafka_consumergroup_lag",
             "Offsets between the group's commit and the end of the partition; from its start when "
             "nothing is committed.",
             true, false);
    progress(to, "kafka_consumergroup_lag_sum",
             "Offsets left to read for the group, of all partitions of the topic.", true, true);
}

void metrics_cluster(const struct cluster_view *view, struct buf *text)
{
    struct samples to = {.view = view, .text = text};
    prometheus_one(text, "tidings_bus_up", "gauge",
                   "1: the bus answered, else what follows misses.",
                   view->error.status == CLIENT_OK);
    prometheus_one(text, "tidings_bus_ask_seconds", "gauge",
                   "How long the bus took to say what follows.", (double)view->took_ms / 1000);
    prometheus_head(text, "kafka_brokers", "gauge", "Number of brokers in the cluster.");
    if (view->error.status == CLIENT_OK || view->broker_count > 0) {
        prometheus_name(text, "kafka_brokers");
        prometheus_value(text, view->broker_count);
    }
    topics(&to);
    groups(&to);
    prometheus_one(text, "tidings_metrics_left_out", "gauge",
                   "Samples of topics and groups that were too many for one answer.",
                   (double)to.left_out);
}

/* --- the server --- */

void metrics_http(const struct http_counts *counts, struct buf *text)
{
    static const char *const classes[] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
    prometheus_head(text, "tidings_http_requests_total", "counter",
                    "Requests by the hundreds of their status; none: the client left.");
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        prometheus_name(text, "tidings_http_requests_total");
        prometheus_label(text, "status", classes[i]);
        prometheus_value(text, (double)counts->requests[i]);
    }
    prometheus_one(text, "tidings_http_handler_seconds_total", "counter",
                   "Time that all requests took in their handlers.", (double)counts->took_us / 1e6);
    prometheus_one(text, "tidings_http_connections_cut_total", "counter",
                   "Connections that were too slow.", (double)counts->cut);
    prometheus_one(text, "tidings_http_connections", "gauge", "Connections that are open.",
                   counts->connections);
    prometheus_one(text, "tidings_http_streams", "gauge", "Event streams that are open.",
                   counts->streams);
    prometheus_one(text, "tidings_http_workers_busy", "gauge", "Workers that have a request.",
                   counts->busy_workers);
    prometheus_one(text, "tidings_http_requests_waiting", "gauge",
                   "Requests that wait for a worker.", counts->waiting);
}

/* --- the process --- */

static double open_files(void)
{
    double count = 0;
    DIR *directory = opendir("/proc/self/fd");
    if (directory != NULL) {
        while (readdir(directory) != NULL) {
            count++;
        }
        closedir(directory);
    }
    return count > 3 ? count - 3 : 0; /* ".", "..", and that of the directory */
}

/* Field 22 of /proc/self/stat (proc(5)): ticks since the machine began. */
static double start_seconds(void)
{
    char line[1024] = "";
    unsigned long long ticks = 0, began = 0;
    FILE *file = fopen("/proc/self/stat", "re");
    if (file != NULL) {
        (void)!fgets(line, sizeof line, file);
        fclose(file);
    }
    const char *behind = strrchr(line, ')'); /* the name in front may hold blanks */
    for (int field = 2; behind != NULL && field < 22; field++) {
        behind = strchr(behind + 1, ' ');
    }
    ticks = behind != NULL ? strtoull(behind, NULL, 10) : 0;
    file = fopen("/proc/stat", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "btime ", 6) == 0) {
            began = strtoull(line + 6, NULL, 10);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return (double)began + (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

void metrics_process(struct buf *text)
{
    struct rusage usage = {0};
    (void)getrusage(RUSAGE_SELF, &usage);
    prometheus_head(text, "tidings_info", "gauge", "Which version it is.");
    prometheus_name(text, "tidings_info");
    prometheus_label(text, "version", TIDINGS_VERSION);
    prometheus_value(text, 1);
    prometheus_one(text, "process_resident_memory_bytes", "gauge", "Memory of the process.",
                   (double)mem_resident_bytes());
    prometheus_one(text, "process_cpu_seconds_total", "counter",
                   "Time of CPU that the process took.",
                   seconds(usage.ru_utime) + seconds(usage.ru_stime));
    prometheus_one(text, "process_open_fds", "gauge", "Open files and connections.", open_files());
    prometheus_one(text, "process_start_time_seconds", "gauge",
                   "When the process started, since 1970.", start_seconds());
}
