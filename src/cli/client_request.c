#include "cli/client.h"

#include "base/clock.h"
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>

/* What a Kafka error means to a script and to a person. */
static const struct {
    rd_kafka_resp_err_t err;
    enum cli_exit code;
    const char *hint;
} meanings[] = {
    {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, EXIT_NOT_FOUND,
     "see the topics with: tidings topic list"},
    {RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, EXIT_NOT_FOUND, "see the topics with: tidings topic list"},
    {RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, EXIT_NOT_FOUND,
     "see the partitions with: tidings topic describe TOPIC"},
    {RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND, EXIT_NOT_FOUND,
     "see the groups with: tidings group list"},
    {RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS, EXIT_CONFLICT,
     "look at it with 'tidings topic describe TOPIC', or add --if-not-exists"},
    {RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP, EXIT_CONFLICT,
     "stop its members first; see them with: tidings group describe GROUP"},
    {RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, EXIT_CONFLICT,
     "the group has members: stop them first; see them with: tidings group describe GROUP"},
    {RD_KAFKA_RESP_ERR__TRANSPORT, EXIT_UNREACHABLE, "is the bus still running?"},
    {RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, EXIT_UNREACHABLE, "is the bus still running?"},
    {RD_KAFKA_RESP_ERR__RESOLVE, EXIT_UNREACHABLE, "check the host name"},
    {RD_KAFKA_RESP_ERR__TIMED_OUT, EXIT_TIMED_OUT, "allow more time with --timeout"},
    {RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, EXIT_TIMED_OUT, "allow more time with --timeout"},
    {RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, EXIT_TIMED_OUT, "allow more time with --timeout"},
    {RD_KAFKA_RESP_ERR_INVALID_CONFIG, EXIT_FAILED,
     "see all settings of a topic with: tidings topic describe TOPIC --all"},
    {RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, EXIT_FAILED,
     "a topic name has up to 249 letters, digits, dots, dashes and underscores; "
     "__consumer_offsets is the bus's own"},
    {RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, EXIT_FAILED,
     "the bus cannot write to its disk: look at its log and the free space"},
    {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, EXIT_FAILED,
     "raise the topic's limit: tidings topic alter TOPIC --config max.message.bytes=BYTES"},
    {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, EXIT_FAILED, "this user may not do that"},
    {RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, EXIT_FAILED, "this user may not do that"},
    {RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, EXIT_FAILED, "the bus at this address is too old"},
};

enum { MEANING_COUNT = sizeof meanings / sizeof meanings[0] };

int client_exit_code(rd_kafka_resp_err_t err)
{
    for (int i = 0; i < MEANING_COUNT; i++) {
        if (meanings[i].err == err) {
            return (int)meanings[i].code;
        }
    }
    return EXIT_FAILED;
}

const char *client_hint(rd_kafka_resp_err_t err)
{
    for (int i = 0; i < MEANING_COUNT; i++) {
        if (meanings[i].err == err) {
            return meanings[i].hint;
        }
    }
    return NULL;
}

bool client_is_connection_error(rd_kafka_resp_err_t err)
{
    return err == RD_KAFKA_RESP_ERR__TRANSPORT || err == RD_KAFKA_RESP_ERR__TIMED_OUT ||
           err == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT || err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
}

int bus_fail(struct client *client, rd_kafka_resp_err_t err, const char *detail, const char *format,
             ...)
{
    char what[512];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (client->rk != NULL) {
        rd_kafka_poll(client->rk, 0); /* hear what librdkafka knows by now */
    }
    const char *why = detail != NULL && detail[0] != '\0' ? detail : rd_kafka_err2str(err);
    if (client_is_connection_error(err) && client->last_error[0] != '\0') {
        return cli_fail((enum cli_exit)client_exit_code(err), client_hint(err),
                        "cannot %s: %s (%s)", what, why, client->last_error);
    }
    return cli_fail((enum cli_exit)client_exit_code(err), client_hint(err), "cannot %s: %s", what,
                    why);
}

rd_kafka_AdminOptions_t *client_admin_options(struct client *client, rd_kafka_admin_op_t op)
{
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(client->rk, op);
    char text[128];
    rd_kafka_AdminOptions_set_request_timeout(options, client_timeout_ms(client), text,
                                              sizeof text);
    if (op == RD_KAFKA_ADMIN_OP_CREATETOPICS || op == RD_KAFKA_ADMIN_OP_DELETETOPICS ||
        op == RD_KAFKA_ADMIN_OP_CREATEPARTITIONS) {
        rd_kafka_AdminOptions_set_operation_timeout(options, client_timeout_ms(client), text,
                                                    sizeof text);
    }
    return options;
}

__attribute__((format(printf, 4, 0))) static int wait_for_event(struct client *client,
                                                                rd_kafka_queue_t *queue,
                                                                rd_kafka_event_t **event,
                                                                const char *format, va_list args)
{
    enum { GRACE_MS = 1000 }; /* librdkafka's own time-out comes first */
    char what[512];
    vsnprintf(what, sizeof what, format, args);
    *event = rd_kafka_queue_poll(queue, client_timeout_ms(client) + GRACE_MS);
    if (*event == NULL) {
        return bus_fail(client, RD_KAFKA_RESP_ERR__TIMED_OUT, NULL, "%s", what);
    }
    rd_kafka_resp_err_t err = rd_kafka_event_error(*event);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        int code = bus_fail(client, err, rd_kafka_event_error_string(*event), "%s", what);
        rd_kafka_event_destroy(*event);
        *event = NULL;
        return code;
    }
    return EXIT_OK;
}

int client_admin_wait(struct client *client, rd_kafka_queue_t *queue, rd_kafka_event_t **event,
                      const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int code = wait_for_event(client, queue, event, format, args);
    va_end(args);
    return code;
}

struct admin_request client_admin_begin(struct client *client, rd_kafka_admin_op_t op)
{
    return (struct admin_request){
        .options = client_admin_options(client, op),
        .queue = rd_kafka_queue_new(client->rk),
    };
}

int client_admin_finish(struct client *client, struct admin_request *request,
                        rd_kafka_event_t **event, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int code = wait_for_event(client, request->queue, event, format, args);
    va_end(args);
    rd_kafka_queue_destroy(request->queue);
    rd_kafka_AdminOptions_destroy(request->options);
    *request = (struct admin_request){0};
    return code;
}

static rd_kafka_resp_err_t topic_error(const struct rd_kafka_metadata *metadata)
{
    if (metadata->topic_cnt == 0) {
        return RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    }
    return metadata->topics[0].err;
}

static rd_kafka_resp_err_t metadata_once(struct client *client, const char *topic,
                                         const struct rd_kafka_metadata **metadata, int timeout_ms)
{
    rd_kafka_topic_t *handle = topic != NULL ? rd_kafka_topic_new(client->rk, topic, NULL) : NULL;
    if (topic != NULL && handle == NULL) {
        return rd_kafka_last_error();
    }
    rd_kafka_resp_err_t err =
        rd_kafka_metadata(client->rk, topic == NULL, handle, metadata, timeout_ms);
    if (handle != NULL) {
        rd_kafka_topic_destroy(handle);
    }
    return err;
}

int client_metadata(struct client *client, const char *topic, bool may_be_created,
                    const struct rd_kafka_metadata **metadata)
{
    enum { RETRY_MS = 100, SETTLE_MS = 1500 };
    int64_t start_ms = clock_wall_ms(clock_system());
    for (;;) {
        rd_kafka_resp_err_t err = metadata_once(client, topic, metadata, client_timeout_ms(client));
        if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            return bus_fail(client, err, NULL, "%s %s", topic ? "look up topic" : "list",
                            topic ? topic : "the topics");
        }
        err = topic != NULL ? topic_error(*metadata) : RD_KAFKA_RESP_ERR_NO_ERROR;
        if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            return EXIT_OK;
        }
        rd_kafka_metadata_destroy(*metadata);
        /* A topic that the bus creates on this very request has no leader for a moment. */
        bool is_settling = err == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
                           (may_be_created && err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
        if (!is_settling || clock_wall_ms(clock_system()) - start_ms > SETTLE_MS) {
            if (client_exit_code(err) == EXIT_NOT_FOUND) {
                return cli_fail(EXIT_NOT_FOUND,
                                "see the topics with 'tidings topic list', or make it with "
                                "'tidings topic create TOPIC'",
                                "topic '%s' does not exist", topic);
            }
            return bus_fail(client, err, NULL, "use topic '%s'", topic);
        }
        rd_kafka_poll(client->rk, RETRY_MS);
    }
}
