#include <jansson.h>
#include <librdkafka/rdkafka.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/*
 * A service on librdkafka (README.md beside this file), exactly once: what it publishes and what it
 * commits is one transaction each, and a digit of 13 or more means that it is aborted once first.
 * Ids follow from those of the causes, so that one who is killed publishes the same id again.
 */
enum { TIMEOUT_MS = 30000, HOPS_MOST = 4, FOLLOW_UPS_MOST = 2 };

struct service {
    const char *name;
    int number, truth;
    char *outputs[16];
    int output_count;
    rd_kafka_t *consumer, *producer;
};

struct follow_up {
    char token[1024], at[400];
    const char *topic;
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    _exit(1);
}

static void check(rd_kafka_error_t *error, const char *what)
{
    if (error != NULL) {
        die(what, rd_kafka_error_string(error));
    }
}

static void check_code(rd_kafka_resp_err_t code, const char *what)
{
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        die(what, rd_kafka_err2str(code));
    }
}

static void tell(struct service *service, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void tell(struct service *service, const char *format, ...)
{
    char line[2048];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (size >= (int)sizeof line || write(service->truth, line, (size_t)size) != size) {
        die("the truth", "cannot be written");
    }
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static rd_kafka_t *open_handle(rd_kafka_type_t type, const char *const *settings,
                               void (*on_delivery)(rd_kafka_t *, const rd_kafka_message_t *,
                                                   void *))
{
    char why[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (; *settings != NULL; settings += 2) {
        if (rd_kafka_conf_set(conf, settings[0], settings[1], why, sizeof why) !=
            RD_KAFKA_CONF_OK) {
            die(settings[0], why);
        }
    }
    if (on_delivery != NULL) {
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    }
    rd_kafka_t *handle = rd_kafka_new(type, conf, why, sizeof why);
    if (handle == NULL) {
        die("rd_kafka_new", why);
    }
    return handle;
}

static void on_delivery(rd_kafka_t *handle, const rd_kafka_message_t *message, void *context)
{
    struct follow_up *follow_up = message->_private;
    (void)handle;
    (void)context;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        snprintf(follow_up->at, sizeof follow_up->at, "%s/%d/%" PRId64, follow_up->topic,
                 (int)message->partition, message->offset);
    } /* else the transaction fails, or it is aborted by our own wish */
}

/* --- headers --- */

static const char *header_of(const rd_kafka_message_t *message, const char *name, char *to,
                             size_t size)
{
    rd_kafka_headers_t *headers;
    const void *value;
    size_t value_size;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        rd_kafka_header_get_last(headers, name, &value, &value_size) !=
            RD_KAFKA_RESP_ERR_NO_ERROR) {
        return NULL;
    }
    snprintf(to, size, "%.*s", (int)value_size, (const char *)value);
    return to;
}

static void add(rd_kafka_headers_t *headers, const char *name, const char *value)
{
    if (value != NULL) {
        rd_kafka_header_add(headers, name, -1, value, -1);
    }
}

static rd_kafka_headers_t *headers_for(struct service *service, const rd_kafka_message_t *cause,
                                       const char *style, const char *chain, const char *token)
{
    char id[1024], correlation[1024], text[1100];
    rd_kafka_headers_t *headers = rd_kafka_headers_new(8);
    bool is_both = strcmp(style, "both") == 0;
    if (strcmp(style, "trace") == 0 || is_both) {
        snprintf(text, sizeof text, "00-%s-%016" PRIx64 "-01", chain,
                 (uint64_t)now_ms() << 8 | (uint64_t)(service->number + 1));
        add(headers, "traceparent", text);
    }
    if (strcmp(style, "trace") == 0 || strcmp(style, "plain") == 0 ||
        (is_both && service->number % 2 == 1)) {
        return headers;
    }
    const char *cause_id = header_of(cause, "ce_id", id, sizeof id);
    const char *of = header_of(cause, "ce_correlationid", correlation, sizeof correlation);
    add(headers, "ce_specversion", "1.0");
    add(headers, "ce_id", token);
    snprintf(text, sizeof text, "/%s", service->name);
    add(headers, "ce_source", text);
    snprintf(text, sizeof text, "%s.did", service->name);
    add(headers, "ce_type", text);
    add(headers, "ce_causationid", strcmp(style, "correlation") != 0 ? cause_id : NULL);
    add(headers, "ce_correlationid",
        strcmp(style, "causes") == 0 ? NULL : (of != NULL ? of : cause_id));
    return headers;
}

/* --- one event --- */

static void publish(struct service *service, const rd_kafka_message_t *cause, json_t *value,
                    int digit, int count, struct follow_up *follow_ups)
{
    const char *style = json_string_value(json_object_get(value, "style"));
    const char *chain = json_string_value(json_object_get(value, "chain"));
    const char *token = json_string_value(json_object_get(value, "token"));
    for (int i = 0; i < count; i++) {
        struct follow_up *follow_up = &follow_ups[i];
        snprintf(follow_up->token, sizeof follow_up->token, "%.900s.%s%d", token, service->name, i);
        follow_up->topic = service->outputs[(digit + i) % service->output_count];
        json_t *own = json_deep_copy(value);
        json_object_set_new(own, "hop",
                            json_integer(json_integer_value(json_object_get(value, "hop")) + 1));
        json_object_set_new(own, "token", json_string(follow_up->token));
        json_object_set_new(own, "cause", json_string(token));
        json_object_set_new(own, "by", json_string(service->name));
        char *text = json_dumps(own, JSON_COMPACT);
        rd_kafka_headers_t *headers = headers_for(service, cause, style, chain, follow_up->token);
        const rd_kafka_vu_t parts[] = {
            {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = follow_up->topic},
            {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
            {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {cause->key, cause->key_len}},
            {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {text, strlen(text)}},
            {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
            {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = follow_up},
        };
        check(rd_kafka_produceva(service->producer, parts, sizeof parts / sizeof parts[0]),
              "produce");
        free(text);
        json_decref(own);
    }
}

static void commit(struct service *service, const rd_kafka_message_t *message)
{
    const char *topic = rd_kafka_topic_name(message->rkt);
    rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(offsets, topic, message->partition)->offset =
        message->offset + 1;
    rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata(service->consumer);
    check(rd_kafka_send_offsets_to_transaction(service->producer, offsets, group, TIMEOUT_MS),
          "send offsets");
    tell(service, "{\"e\":\"commits\",\"at\":\"%s/%d/%" PRId64 "\"}\n", topic,
         (int)message->partition, message->offset + 1);
    check(rd_kafka_commit_transaction(service->producer, TIMEOUT_MS), "commit");
    tell(service, "{\"e\":\"committed\",\"at\":\"%s/%d/%" PRId64 "\"}\n", topic,
         (int)message->partition, message->offset + 1);
    rd_kafka_consumer_group_metadata_destroy(group);
    rd_kafka_topic_partition_list_destroy(offsets);
}

static void handle(struct service *service, const rd_kafka_message_t *message)
{
    static const int counts[16] = {0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 2, 2};
    struct follow_up follow_ups[FOLLOW_UPS_MOST] = {0};
    json_t *value = json_loadb(message->payload, message->len, 0, NULL);
    const char *plan = json_string_value(json_object_get(value, "plan"));
    if (plan == NULL || strlen(plan) != 32) {
        die("an event", "has no plan");
    }
    int hop = (int)json_integer_value(json_object_get(value, "hop"));
    char digit_text[2] = {plan[(hop * 7 + service->number * 3) % 32], '\0'};
    int digit = (int)strtol(digit_text, NULL, 16);
    int count = hop >= HOPS_MOST ? 0 : counts[digit];
    tell(service, "{\"e\":\"took\",\"at\":\"%s/%d/%" PRId64 "\"}\n",
         rd_kafka_topic_name(message->rkt), (int)message->partition, message->offset);
    if (digit >= 13) {
        check(rd_kafka_begin_transaction(service->producer), "begin");
        publish(service, message, value, digit, count, follow_ups);
        check_code(rd_kafka_flush(service->producer, TIMEOUT_MS), "flush");
        check(rd_kafka_abort_transaction(service->producer, TIMEOUT_MS), "abort");
    }
    check(rd_kafka_begin_transaction(service->producer), "begin");
    publish(service, message, value, digit, count, follow_ups);
    commit(service, message);
    for (int i = 0; i < count; i++) {
        tell(service, "{\"e\":\"acked\",\"token\":\"%s\",\"at\":\"%s\",\"ms\":%" PRId64 "}\n",
             follow_ups[i].token, follow_ups[i].at, now_ms());
    }
    json_decref(value);
}

static void subscribe(struct service *service, char *inputs)
{
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(4);
    char *rest = NULL;
    for (char *name = strtok_r(inputs, ",", &rest); name != NULL;
         name = strtok_r(NULL, ",", &rest)) {
        rd_kafka_topic_partition_list_add(topics, name, RD_KAFKA_PARTITION_UA);
    }
    check_code(rd_kafka_subscribe(service->consumer, topics), "subscribe");
    rd_kafka_topic_partition_list_destroy(topics);
}

int main(int argc, char **argv)
{
    if (argc < 7) {
        die(argv[0], "BOOTSTRAP NAME NUMBER TRUTH INPUTS OUTPUTS");
    }
    struct service service = {.name = argv[2], .number = atoi(argv[3])};
    const char *const consumer[] = {"bootstrap.servers",
                                    argv[1],
                                    "group.id",
                                    argv[2],
                                    "enable.auto.commit",
                                    "false",
                                    "auto.offset.reset",
                                    "earliest",
                                    "session.timeout.ms",
                                    "3000",
                                    "heartbeat.interval.ms",
                                    "500",
                                    "fetch.wait.max.ms",
                                    "50",
                                    "topic.metadata.refresh.interval.ms",
                                    "1000",
                                    NULL};
    const char *const producer[] = {"bootstrap.servers",
                                    argv[1],
                                    "transactional.id",
                                    argv[2],
                                    "transaction.timeout.ms",
                                    "5000",
                                    "linger.ms",
                                    "0",
                                    "topic.metadata.refresh.interval.ms",
                                    "1000",
                                    NULL};
    char *rest = NULL;
    service.truth = open(argv[4], O_WRONLY | O_APPEND | O_CREAT, 0600);
    for (char *name = strtok_r(argv[6], ",", &rest); name != NULL && service.output_count < 16;
         name = strtok_r(NULL, ",", &rest)) {
        service.outputs[service.output_count++] = name;
    }
    service.consumer = open_handle(RD_KAFKA_CONSUMER, consumer, NULL);
    service.producer = open_handle(RD_KAFKA_PRODUCER, producer, on_delivery);
    rd_kafka_poll_set_consumer(service.consumer);
    check(rd_kafka_init_transactions(service.producer, TIMEOUT_MS), "init transactions");
    subscribe(&service, argv[5]);
    for (;;) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(service.consumer, 200);
        if (message != NULL && message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            handle(&service, message);
        }
        if (message != NULL) {
            rd_kafka_message_destroy(message);
        }
    }
}
