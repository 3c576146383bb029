#include "lanes.h"

#include "base/clock.h"
#include "tidings.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/*
 * A service under a steady load of its own, some of whose keys never succeed. Noted is how long the
 * others' events take from when they were due until they are handled, how far the committed offset
 * is behind, and the memory of the process. With a twin a second service handles the same events at
 * the same time, without any that fails: what the machine does to one it does to the other.
 */

struct steady {
    const struct options *options;
    struct steady *twin; /* NULL: none */
    struct tidings *service;
    pthread_mutex_t lock;    /* guards: */
    struct load_times times; /* of the events that succeed */
    atomic_int failures;
    atomic_bool is_over;
    int published;
    int64_t lag_most; /* events behind the committed offsets, at the most, of samples once warm */
    int64_t rss_half_bytes, rss_end_bytes;
};

enum { WARM_UP_PART = 4 }; /* of the time: what is noted begins behind it */

static enum tidings_verdict handle(struct tidings *service, const struct tidings_event *event,
                                   void *context)
{
    struct steady *mine = context;
    int64_t due_ns;
    (void)service;
    if (event->data_size < 1 + sizeof due_ns) {
        return TIDINGS_DONE;
    }
    if (((const char *)event->data)[0] == 'n') {
        atomic_fetch_add(&mine->failures, 1);
        return tidings_retry(event, 0, "never", "this key never succeeds");
    }
    work(mine->options->work_us);
    memcpy(&due_ns, (const char *)event->data + 1, sizeof due_ns);
    pthread_mutex_lock(&mine->lock);
    load_times_add(&mine->times, clock_now_ns() - due_ns);
    pthread_mutex_unlock(&mine->lock);
    return TIDINGS_DONE;
}

static void publish(struct steady *mine, char *data, int number, int64_t due_ns)
{
    const struct options *options = mine->options;
    char key[16];
    int of_key = number % options->keys;
    int span = options->never > 0 ? options->keys / options->never : 0;
    snprintf(key, sizeof key, "key-%06d", of_key);
    data[0] = span > 0 && of_key % span == span - 1 ? 'n' : 'o';
    memcpy(data + 1, &due_ns, sizeof due_ns);
    struct tidings_message message = {.topic = options->topic,
                                      .type = "Measured",
                                      .key = key,
                                      .content_type = "application/octet-stream",
                                      .data = data,
                                      .data_size = (size_t)options->event_bytes};
    struct tidings_error error;
    enum tidings_status status;
    while ((status = tidings_publish(mine->service, &message, NULL, NULL, &error)) ==
           TIDINGS_FULL) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    if (status != TIDINGS_OK) {
        fail("publishing", error.text);
    }
}

static int64_t rss_bytes(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL || fscanf(file, "%*d %ld", &pages) != 1) {
        fail("/proc/self/statm", "cannot be read");
    }
    fclose(file);
    return (int64_t)pages * 4096;
}

/* Until the service has its partitions. */
static void wait_for_service(struct steady *mine, char *data)
{
    for (bool has_begun = false; !has_begun;) {
        publish(mine, data, 0, clock_now_ns());
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        pthread_mutex_lock(&mine->lock);
        has_begun = mine->times.count > 0;
        pthread_mutex_unlock(&mine->lock);
    }
}

/* The one and the other first, by turns. */
static void publish_due(struct steady *mine, char *data, int number, int64_t due_ns)
{
    struct steady *first = mine->twin != NULL && number % 2 == 1 ? mine->twin : mine;
    publish(first, data, number, due_ns);
    if (mine->twin != NULL) {
        publish(first == mine ? mine->twin : mine, data, number, due_ns);
    }
}

static void forget_times(struct steady *mine)
{
    pthread_mutex_lock(&mine->lock);
    mine->times.count = 0;
    pthread_mutex_unlock(&mine->lock);
}

static void *publish_all(void *context)
{
    struct steady *mine = context;
    const struct options *options = mine->options;
    char *data = calloc(1, (size_t)options->event_bytes + 1 + sizeof(int64_t));
    if (data == NULL) {
        fail("memory", "none");
    }
    wait_for_service(mine, data);
    if (mine->twin != NULL) {
        wait_for_service(mine->twin, data);
    }
    int64_t begin_ns = clock_now_ns();
    int count = options->rate * options->seconds;
    for (int i = 0; i < count; i++) {
        int64_t due_ns = begin_ns + (int64_t)i * 1000000000 / options->rate;
        int64_t wait_ns = due_ns - clock_now_ns();
        if (wait_ns > 0) {
            nanosleep(
                &(struct timespec){.tv_sec = wait_ns / 1000000000, .tv_nsec = wait_ns % 1000000000},
                NULL);
        }
        if (i == count / WARM_UP_PART) {
            forget_times(mine);
            if (mine->twin != NULL) {
                forget_times(mine->twin);
            }
        }
        if (i == count / 2) {
            mine->rss_half_bytes = rss_bytes();
        }
        publish_due(mine, data, i, due_ns);
        mine->published++;
    }
    mine->rss_end_bytes = rss_bytes();
    free(data);
    atomic_store(&mine->is_over, true);
    tidings_stop(mine->service);
    if (mine->twin != NULL) {
        tidings_stop(mine->twin->service);
    }
    return NULL;
}

/* A client that only asks. */
static rd_kafka_t *open_watcher(const struct options *options)
{
    char error[200];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (rd_kafka_conf_set(conf, "bootstrap.servers", options->bootstrap, error, sizeof error) !=
            RD_KAFKA_CONF_OK ||
        rd_kafka_conf_set(conf, "group.id", options->group, error, sizeof error) !=
            RD_KAFKA_CONF_OK) {
        fail("librdkafka", error);
    }
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, error, sizeof error);
    if (rk == NULL) {
        fail("librdkafka", error);
    }
    return rk;
}

/* Events behind the group's committed offsets; -1: it is not known. */
static int64_t lag_of(rd_kafka_t *rk, const struct options *options)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, options->topic, NULL);
    int64_t lag = 0;
    if (rd_kafka_metadata(rk, 0, topic, &metadata, TIMEOUT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        fail("metadata", options->topic);
    }
    int count = metadata->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);
    rd_kafka_topic_partition_list_add_range(list, options->topic, 0, count - 1);
    bool is_known = rd_kafka_committed(rk, list, TIMEOUT_MS) == RD_KAFKA_RESP_ERR_NO_ERROR;
    for (int i = 0; i < count; i++) {
        int64_t low;
        int64_t high;
        is_known = is_known && list->elems[i].offset >= 0 &&
                   rd_kafka_query_watermark_offsets(rk, options->topic, i, &low, &high,
                                                    TIMEOUT_MS) == RD_KAFKA_RESP_ERR_NO_ERROR;
        lag += is_known ? high - list->elems[i].offset : 0;
    }
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_topic_destroy(topic);
    return is_known ? lag : -1;
}

static void *watch(void *context)
{
    struct steady *mine = context;
    rd_kafka_t *rk = open_watcher(mine->options);
    int64_t warm_ns = clock_now_ns() + (int64_t)mine->options->seconds * 1000000000 / WARM_UP_PART;
    while (!atomic_load(&mine->is_over)) {
        int64_t lag = lag_of(rk, mine->options);
        if (clock_now_ns() > warm_ns && lag > mine->lag_most && !atomic_load(&mine->is_over)) {
            mine->lag_most = lag;
        }
        nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    }
    rd_kafka_destroy(rk);
    return NULL;
}

static void *run_one(void *context)
{
    struct steady *mine = context;
    struct tidings_error error = {.text = ""};
    if (tidings_run(mine->service, &error) != TIDINGS_OK) {
        fail("the service", error.text);
    }
    return NULL;
}

static void run(struct steady *mine)
{
    pthread_t publisher;
    pthread_t watcher;
    pthread_t twin;
    if (pthread_create(&publisher, NULL, publish_all, mine) != 0 ||
        pthread_create(&watcher, NULL, watch, mine) != 0 ||
        (mine->twin != NULL && pthread_create(&twin, NULL, run_one, mine->twin) != 0)) {
        fail("threads", "cannot be started");
    }
    run_one(mine);
    if (mine->twin != NULL) {
        pthread_join(twin, NULL);
    }
    pthread_join(publisher, NULL);
    pthread_join(watcher, NULL);
}

static void open_service(struct steady *mine)
{
    const struct options *options = mine->options;
    struct tidings_options its = {.name = options->group,
                                  .bootstrap_servers = options->bootstrap,
                                  .workers = options->workers};
    struct tidings_error error = {.text = ""};
    pthread_mutex_init(&mine->lock, NULL);
    if (tidings_new(&its, &mine->service, &error) != TIDINGS_OK ||
        tidings_on(mine->service, options->topic, NULL, handle, mine, &error) != TIDINGS_OK) {
        fail("the service", error.text);
    }
}

static void close_service(struct steady *mine)
{
    tidings_free(mine->service);
    load_times_deinit(&mine->times);
    pthread_mutex_destroy(&mine->lock);
}

/* The same options, for the twin. */
static struct options calm_of(const struct options *options, char *topic, char *group, size_t size)
{
    struct options calm = *options;
    snprintf(topic, size, "%s-calm", options->topic);
    snprintf(group, size, "%s-calm", options->group);
    calm.topic = topic;
    calm.group = group;
    calm.never = 0;
    return calm;
}

json_t *run_steady(const struct options *options, bool has_twin)
{
    char topic[300], group[300];
    struct options calm = calm_of(options, topic, group, sizeof topic);
    struct steady twin = {.options = &calm};
    struct steady mine = {.options = options, .twin = has_twin ? &twin : NULL};
    open_service(&mine);
    if (has_twin) {
        open_service(&twin);
    }
    run(&mine);
    json_t *result =
        json_pack("{s:i,s:I,s:i,s:I,s:f,s:I,s:I}", "published", mine.published, "handled",
                  (json_int_t)mine.times.count, "failures", atomic_load(&mine.failures), "lag_most",
                  (json_int_t)mine.lag_most, "lag_most_seconds",
                  (double)mine.lag_most / options->rate, "rss_half_bytes",
                  (json_int_t)mine.rss_half_bytes, "rss_end_bytes", (json_int_t)mine.rss_end_bytes);
    json_object_set_new(result, "handled_us", load_times_json(&mine.times));
    if (has_twin) {
        json_object_set_new(result, "calm_us", load_times_json(&twin.times));
        close_service(&twin);
    }
    close_service(&mine);
    return result;
}
