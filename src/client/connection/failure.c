#include "client/connection/kafka.h"

#include <stdarg.h>
#include <stdio.h>

/* The one table of what codes of Kafka and librdkafka mean to a program and to a person. */

enum { PASSING = 1, ABOUT_EVENT = 2, ABOUT_TOPIC = 4 };

#define TOPICS_HINT  "see the topics with: tidings topic list"
#define MEMBERS_HINT "stop the group's members first; see them with: tidings group describe GROUP"
#define TIME_HINT    "allow more time with --timeout"
#define RUNNING_HINT "is the bus still running?"
#define USER_HINT    "this user may not do that"

static const struct {
    rd_kafka_resp_err_t code;
    enum client_status status;
    int flags;
    const char *hint;
} meanings[] = {
    {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, CLIENT_NOT_FOUND, ABOUT_TOPIC, TOPICS_HINT},
    {RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, CLIENT_NOT_FOUND, ABOUT_TOPIC, TOPICS_HINT},
    {RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, CLIENT_NOT_FOUND, ABOUT_EVENT,
     "see the partitions with: tidings topic describe TOPIC"},
    {RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND, CLIENT_NOT_FOUND, 0,
     "see the groups with: tidings group list"},
    {RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS, CLIENT_CONFLICT, 0,
     "look at it with 'tidings topic describe TOPIC', or add --if-not-exists"},
    {RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP, CLIENT_CONFLICT, 0, MEMBERS_HINT},
    {RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, CLIENT_CONFLICT, 0, MEMBERS_HINT},
    {RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, CLIENT_FATAL, 0,
     "give each process an instance name of its own"},
    {RD_KAFKA_RESP_ERR__TRANSPORT, CLIENT_UNREACHABLE, PASSING, RUNNING_HINT},
    {RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, CLIENT_UNREACHABLE, PASSING, RUNNING_HINT},
    {RD_KAFKA_RESP_ERR__RESOLVE, CLIENT_UNREACHABLE, PASSING, "check the host name"},
    {RD_KAFKA_RESP_ERR__TIMED_OUT, CLIENT_TIMED_OUT, PASSING, TIME_HINT},
    {RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, CLIENT_TIMED_OUT, 0, TIME_HINT},
    {RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED, CLIENT_TIMED_OUT, PASSING, NULL},
    {RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, CLIENT_TIMED_OUT, PASSING, TIME_HINT},
    {RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, CLIENT_UNREACHABLE, PASSING, NULL},
    {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, CLIENT_UNREACHABLE, PASSING, NULL},
    {RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, CLIENT_UNREACHABLE, PASSING, NULL},
    {RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, CLIENT_UNREACHABLE, PASSING, NULL},
    {RD_KAFKA_RESP_ERR_NOT_COORDINATOR, CLIENT_UNREACHABLE, PASSING, NULL},
    {RD_KAFKA_RESP_ERR__QUEUE_FULL, CLIENT_FULL, 0, NULL},
    {RD_KAFKA_RESP_ERR__PURGE_QUEUE, CLIENT_CLOSED, 0, NULL},
    {RD_KAFKA_RESP_ERR__PURGE_INFLIGHT, CLIENT_CLOSED, 0, NULL},
    {RD_KAFKA_RESP_ERR__DESTROY, CLIENT_CLOSED, 0, NULL},
    {RD_KAFKA_RESP_ERR__FATAL, CLIENT_FATAL, 0, NULL},
    {RD_KAFKA_RESP_ERR__INVALID_ARG, CLIENT_INVALID, ABOUT_EVENT, NULL},
    {RD_KAFKA_RESP_ERR_INVALID_CONFIG, CLIENT_REFUSED, 0,
     "see what settings there are and what each takes with: tidings topic settings"},
    {RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, CLIENT_REFUSED, ABOUT_TOPIC,
     "a topic name has up to 249 letters, digits, dots, dashes and underscores; "
     "__consumer_offsets is the bus's own"},
    {RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, CLIENT_REFUSED, 0,
     "the bus cannot write to its disk: look at its log and the free space"},
    {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, CLIENT_REFUSED, ABOUT_EVENT,
     "raise the topic's limit: tidings topic alter TOPIC --config max.message.bytes=BYTES"},
    {RD_KAFKA_RESP_ERR_INVALID_RECORD, CLIENT_REFUSED, ABOUT_EVENT, NULL},
    {RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP, CLIENT_REFUSED, ABOUT_EVENT, NULL},
    {RD_KAFKA_RESP_ERR_INVALID_MSG, CLIENT_REFUSED, ABOUT_EVENT, NULL},
    {RD_KAFKA_RESP_ERR__AUTHENTICATION, CLIENT_REFUSED, 0, "check user, password and mechanism"},
    {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, CLIENT_REFUSED, ABOUT_TOPIC, USER_HINT},
    {RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, CLIENT_REFUSED, 0, USER_HINT},
    {RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, CLIENT_REFUSED, 0, USER_HINT},
    {RD_KAFKA_RESP_ERR_SECURITY_DISABLED, CLIENT_REFUSED, 0,
     "a bus keeps rules when authorizer.class.name is set"},
    {RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, CLIENT_REFUSED, 0,
     "the bus at this address is too old"},
};

enum { MEANING_COUNT = sizeof meanings / sizeof meanings[0] };

/* MEANING_COUNT when there is no row. */
static int find(int code)
{
    int i = 0;
    while (i < MEANING_COUNT && meanings[i].code != (rd_kafka_resp_err_t)code) {
        i++;
    }
    return i;
}

enum client_status client_status_of(int code)
{
    int row = find(code);
    if (code == 0 || row < MEANING_COUNT) {
        return code == 0 ? CLIENT_OK : meanings[row].status;
    }
    /* librdkafka's own codes are negative and mostly about time and transport. */
    return code < 0 ? CLIENT_UNREACHABLE : CLIENT_REFUSED;
}

static bool has_flag(int code, int flag)
{
    int row = find(code);
    return row < MEANING_COUNT && (meanings[row].flags & flag) != 0;
}

bool client_is_passing(int code)
{
    return has_flag(code, PASSING);
}

bool client_is_about_topic(int code)
{
    return has_flag(code, ABOUT_TOPIC);
}

bool client_is_about_event(int code)
{
    return has_flag(code, ABOUT_EVENT);
}

const char *client_code_name(int code)
{
    return rd_kafka_err2name((rd_kafka_resp_err_t)code);
}

const char *client_library_version(void)
{
    return rd_kafka_version_str();
}

enum client_status client_fail(struct client_error *error, enum client_status status,
                               const char *hint, const char *format, ...)
{
    if (error != NULL) {
        error->status = status;
        error->code = 0;
        error->hint = hint;
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(error->text, sizeof error->text, format, arguments);
        va_end(arguments);
    }
    return status;
}

enum client_status client_fail_code(struct client_error *error, int code, const char *detail)
{
    enum client_status status = client_status_of(code);
    if (error != NULL && status != CLIENT_OK) {
        int row = find(code);
        bool has_detail = detail != NULL && detail[0] != '\0';
        client_fail(error, status, row < MEANING_COUNT ? meanings[row].hint : NULL, "%s",
                    has_detail ? detail : rd_kafka_err2str((rd_kafka_resp_err_t)code));
        error->code = code;
    }
    return status;
}
