#include "bus/api/http_api_inside.h"

#include "base/time_text.h"

#include <assert.h>

void http_api_add(struct http_api *api, const struct http_route *route)
{
    assert(api->route_count < sizeof api->routes / sizeof api->routes[0]);
    struct http_route *own = &api->routes[api->route_count++];
    *own = *route;
    own->context = api;
}

/* Kafka's codes that mean something else than "the bus said no". */
static unsigned status_of_code(int code)
{
    enum { /* Kafka protocol, "Error codes" */
           MESSAGE_TOO_LARGE = 10,
           INVALID_TOPIC = 17,
           RECORD_LIST_TOO_LARGE = 18,
           TOPIC_DENIED = 29,
           GROUP_DENIED = 30,
           CLUSTER_DENIED = 31,
           INVALID_RECORD = 87
    };
    switch (code) {
    case MESSAGE_TOO_LARGE:
    case RECORD_LIST_TOO_LARGE:
        return 413;
    case INVALID_TOPIC:
        return 400;
    case TOPIC_DENIED:
    case GROUP_DENIED:
    case CLUSTER_DENIED:
        return 403;
    case INVALID_RECORD:
        return 422;
    default:
        return 502;
    }
}

unsigned http_api_status(const struct client_error *error)
{
    switch (error->status) {
    case CLIENT_OK:
        return 200;
    case CLIENT_INVALID:
        return 400;
    case CLIENT_NOT_FOUND:
        return 404;
    case CLIENT_CONFLICT:
        return 409;
    case CLIENT_TIMED_OUT:
        return 504;
    case CLIENT_UNREACHABLE:
    case CLIENT_FULL:
    case CLIENT_CLOSED:
        return 503;
    case CLIENT_REFUSED:
    case CLIENT_FATAL:
        break;
    }
    return status_of_code(error->code);
}

static const char *title_of(unsigned status)
{
    switch (status) {
    case 400:
        return "Not possible";
    case 403:
        return "Not allowed";
    case 404:
        return "Not found";
    case 409:
        return "Conflict";
    case 413:
        return "Event too large";
    case 422:
        return "Event not valid";
    case 503:
        return "Bus not reachable";
    case 504:
        return "Bus does not answer";
    default:
        return "Bus refuses";
    }
}

void http_api_fail(struct http_reply *reply, const struct client_error *error, const char *what)
{
    unsigned status = http_api_status(error);
    http_problem(reply, status, title_of(status), "%s: %s%s%s", what, error->text,
                 error->hint != NULL ? "; " : "", error->hint != NULL ? error->hint : "");
    if (error->code > 0) {
        http_problem_add(reply, "kafka_error", json_string(client_code_name(error->code)));
    }
    if (status == 503) {
        http_reply_header(reply, "Retry-After", "1");
    }
}

json_t *http_api_time(int64_t time_ms)
{
    char text[TIME_TEXT_SIZE];
    return time_ms < 0 ? json_null() : json_string(time_format(time_ms, text));
}

json_t *http_api_number(int64_t number)
{
    return number >= 0 ? json_integer(number) : json_null();
}
