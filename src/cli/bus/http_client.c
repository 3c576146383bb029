#include "cli/bus/http_client.h"

#include "base/buf.h"
#include "base/library.h"
#include "base/mem.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUNCTIONS(each)                                                                            \
    each(curl_global_init) each(curl_easy_init) each(curl_easy_setopt) each(curl_easy_perform)     \
        each(curl_easy_getinfo) each(curl_easy_cleanup) each(curl_easy_strerror)                   \
            each(curl_slist_append) each(curl_slist_free_all)

enum { FUNCTIONS(LIBRARY_AT) FUNCTION_COUNT };

#define CALL(name)         LIBRARY_CALL(call->functions, name)
#define SET(option, value) CALL(curl_easy_setopt)(call->curl, option, value)

enum { ANSWER_MOST = 64 * 1024 * 1024 };

static const char find_hint[] =
    "name it with --url http://HOST:PORT or TIDINGS_URL; 'tidings serve' tells it in its ready "
    "line "
    "(http=HOST:PORT), and 'tidings bus' makes one for any Kafka cluster";

struct call {
    library_function *functions[FUNCTION_COUNT];
    CURL *curl;
    struct curl_slist *headers;
    struct buf answer;
    bool is_too_large;
};

/* --- where it is --- */

struct option_set http_option_set(struct bus_options *options)
{
    static const struct option_spec specs[] = {
        {0, "url", "URL", OPTION_TEXT, offsetof(struct bus_options, url), 0, 0,
         "address of the bus layer, http://HOST:PORT\n"
         "(default: $TIDINGS_URL or what the bus says of itself)"},
    };
    return (struct option_set){"Bus layer", specs, sizeof specs / sizeof specs[0], options};
}

/* The one that was told, without the slash at its end; NULL: none was. */
static char *told_url(const struct bus_options *options)
{
    const char *url = options->url != NULL ? options->url : getenv("TIDINGS_URL");
    if (url == NULL || url[0] == '\0') {
        return NULL;
    }
    size_t size = strlen(url);
    while (size > 0 && url[size - 1] == '/') {
        size--;
    }
    return strstr(url, "://") != NULL ? mem_strndup(url, size)
                                      : mem_sprintf("http://%.*s", (int)size, url);
}

/* What the bus says: *url is NULL when it names none. */
static enum client_status asked_url(const struct bus_options *options, char **url,
                                    struct client_error *error)
{
    struct connection *connection = NULL;
    struct connection_settings settings = bus_settings(options);
    *url = NULL;
    enum client_status status = connection_open(&settings, &connection, error);
    if (status == CLIENT_OK) {
        status = connection_reach(connection, error);
    }
    if (status == CLIENT_OK) {
        status = admin_broker_setting(connection, "http.advertised.url", url, error);
    }
    connection_close(connection);
    if (*url != NULL && (*url)[0] == '\0') {
        free(*url);
        *url = NULL;
    }
    return status;
}

bool http_client_url(const struct bus_options *options, char **url)
{
    struct client_error error;
    char *found = told_url(options);
    if (found == NULL && asked_url(options, &found, &error) != CLIENT_OK) {
        found = NULL;
    }
    bool is_there = found != NULL;
    if (url != NULL) {
        *url = found;
    } else {
        free(found);
    }
    return is_there;
}

static int find_url(const struct bus_options *options, char **url)
{
    struct client_error error;
    *url = told_url(options);
    if (*url != NULL) {
        return EXIT_OK;
    }
    if (asked_url(options, url, &error) != CLIENT_OK) {
        return bus_fail(&error, "ask the bus where its bus layer listens");
    }
    return *url != NULL
               ? EXIT_OK
               : cli_fail(EXIT_UNREACHABLE, find_hint,
                          "the bus at %s tells no address of a bus layer (http.advertised.url)",
                          bus_settings(options).bootstrap_servers);
}

/* --- one call --- */

static size_t take(char *bytes, size_t size, size_t count, void *context)
{
    struct call *call = context;
    size *= count;
    if (size > ANSWER_MOST - call->answer.size) {
        call->is_too_large = true;
        return 0;
    }
    buf_append(&call->answer, bytes, size);
    return size;
}

static bool begin(struct call *call, char why[128])
{
    static const char *const names[] = {FUNCTIONS(LIBRARY_NAME) NULL};
    static const char *const files[] = {"libcurl.so.4", "libcurl-gnutls.so.4", "libcurl.so", NULL};
    if (!library_load(files, names, call->functions, why, 128)) {
        return false;
    }
    CALL(curl_global_init)(CURL_GLOBAL_DEFAULT);
    call->curl = CALL(curl_easy_init)();
    snprintf(why, 128, "libcurl does not start");
    return call->curl != NULL;
}

static void end(struct call *call)
{
    if (call->curl != NULL) {
        CALL(curl_easy_cleanup)(call->curl);
        CALL(curl_slist_free_all)(call->headers);
    }
    buf_deinit(&call->answer);
}

static void add_header(struct call *call, const char *header)
{
    call->headers = CALL(curl_slist_append)(call->headers, header);
}

static void set_up(struct call *call, const struct bus_options *options, const char *method,
                   const char *url, const char *body)
{
    SET(CURLOPT_URL, url);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_NOPROXY, "*");
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(options->timeout_ms < 5000 ? options->timeout_ms : 5000));
    SET(CURLOPT_TIMEOUT_MS, (long)options->timeout_ms);
    SET(CURLOPT_USERAGENT, "tidings-cli/" TIDINGS_VERSION);
    SET(CURLOPT_WRITEFUNCTION, take);
    SET(CURLOPT_WRITEDATA, call);
    add_header(call, "Accept: application/json");
    if (body != NULL) {
        add_header(call, "Content-Type: application/json");
        SET(CURLOPT_COPYPOSTFIELDS, body);
    } else if (strcmp(method, "GET") != 0) {
        add_header(call, "Tidings-Request: 1");
    }
    SET(CURLOPT_CUSTOMREQUEST, method);
    SET(CURLOPT_HTTPHEADER, call->headers);
}

static int fail_transfer(const struct call *call, const char *url, CURLcode code)
{
    if (call->is_too_large) {
        return cli_fail(EXIT_FAILED, "ask for less, as with --limit",
                        "the answer of %s is too large", url);
    }
    if (code == CURLE_OPERATION_TIMEDOUT) {
        return cli_fail(EXIT_TIMED_OUT, "a larger --timeout gives it more time",
                        "%s does not answer in time", url);
    }
    return cli_fail(EXIT_UNREACHABLE, find_hint, "%s does not answer: %s", url,
                    CALL(curl_easy_strerror)(code));
}

static CURLcode perform(struct call *call, const struct bus_options *options, const char *method,
                        const char *url, json_t *body, unsigned *status, json_t **out)
{
    long code = 0;
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    set_up(call, options, method, url, text);
    CURLcode result = CALL(curl_easy_perform)(call->curl);
    free(text);
    if (result == CURLE_OK) {
        CALL(curl_easy_getinfo)(call->curl, CURLINFO_RESPONSE_CODE, &code);
        *status = (unsigned)code;
        *out = json_loadb((const char *)buf_slice(&call->answer).data, call->answer.size,
                          JSON_DECODE_ANY, NULL);
    }
    return result;
}

/* Says nothing of the status. */
static int ask(const struct bus_options *options, const char *method, const char *path,
               json_t *body, unsigned *status, json_t **out)
{
    struct call call = {0};
    char *url, why[128];
    *status = 0;
    *out = NULL;
    int code = find_url(options, &url);
    if (code != EXIT_OK) {
        return code;
    }
    char *whole = mem_sprintf("%s%s", url, path);
    if (begin(&call, why)) {
        CURLcode result = perform(&call, options, method, whole, body, status, out);
        code = result == CURLE_OK ? EXIT_OK : fail_transfer(&call, whole, result);
    } else {
        code = cli_fail(EXIT_FAILED, "install libcurl (Debian's package libcurl4)",
                        "cannot ask by HTTP: %s", why);
    }
    end(&call);
    free(whole);
    free(url);
    return code;
}

/* --- what verbs call --- */

int http_ask_json(const struct bus_options *options, const char *method, const char *path,
                  json_t *body, unsigned *status, json_t **out)
{
    return ask(options, method, path, body, status, out);
}

bool http_try_json(const struct bus_options *options, const char *url, const char *path,
                   json_t **out)
{
    struct call call = {0};
    unsigned status = 0;
    char why[128];
    *out = NULL;
    char *whole = mem_sprintf("%s%s", url, path);
    bool is_answered =
        begin(&call, why) && perform(&call, options, "GET", whole, NULL, &status, out) == CURLE_OK;
    end(&call);
    free(whole);
    return is_answered && *out != NULL;
}

static enum cli_exit exit_code_of(unsigned status)
{
    switch (status) {
    case 400:
    case 414:
    case 422:
        return EXIT_USAGE;
    case 404:
    case 410:
        return EXIT_NOT_FOUND;
    case 409:
        return EXIT_CONFLICT;
    case 504:
        return EXIT_TIMED_OUT;
    default:
        return EXIT_FAILED;
    }
}

/* In the words of the problem+json (RFC 9457), where it is one. */
static int fail_status(const char *path, unsigned status, const json_t *answer)
{
    const char *detail = json_string_value(json_object_get(answer, "detail"));
    const char *title = json_string_value(json_object_get(answer, "title"));
    if (detail != NULL) {
        return cli_fail(exit_code_of(status), NULL, "%s", detail);
    }
    return cli_fail(exit_code_of(status), "is a bus layer of this version at that address?",
                    "%s is answered by status %u%s%s", path, status, title != NULL ? ": " : "",
                    title != NULL ? title : "");
}

int http_get_json(const struct bus_options *options, const char *path, json_t **out)
{
    unsigned status;
    int code = ask(options, "GET", path, NULL, &status, out);
    if (code != EXIT_OK) {
        return code;
    }
    if (status >= 200 && status < 300 && *out != NULL) {
        return EXIT_OK;
    }
    code = fail_status(path, status, *out);
    json_decref(*out);
    *out = NULL;
    return code;
}

static void append_encoded(struct buf *to, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char letter = (unsigned char)*text;
        if ((letter < 0x80 && isalnum(letter)) || strchr("-._~", letter) != NULL) {
            buf_append_u8(to, letter);
        } else {
            buf_printf(to, "%%%02X", letter);
        }
    }
}

char *http_client_path(const char *format, ...)
{
    struct buf path = {0};
    va_list args;
    va_start(args, format);
    for (; *format != '\0'; format++) {
        if (format[0] == '%' && format[1] == 's') {
            append_encoded(&path, va_arg(args, const char *));
            format++;
        } else {
            buf_append_u8(&path, (uint8_t)*format);
            format += format[0] == '%' && format[1] == '%';
        }
    }
    va_end(args);
    char *text = mem_strdup(buf_cstr(&path));
    buf_deinit(&path);
    return text;
}
