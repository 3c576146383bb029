#include "span.h"

#include "service.h"

#include "base/mem.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What options and the environment say of spans: the variables of OpenTelemetry's specification. */

/* "": as if it were not set. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static int milliseconds(struct tidings *service, const char *name, int otherwise)
{
    const char *value = variable(name);
    enum { MOST = 3600000 };
    if (value == NULL) {
        return otherwise;
    }
    char *end;
    long number = strtol(value, &end, 10);
    if (*end == '\0' && number > 0 && number <= MOST) {
        return (int)number;
    }
    service_log(service, TIDINGS_LOG_WARN, "%s: '%.50s' is no number of milliseconds; %d is used",
                name, value, otherwise);
    return otherwise;
}

/* --- samplers --- */

static const struct {
    const char *name;
    enum span_sampler sampler;
    bool asks_parent;
} samplers[] = {
    {"parentbased_always_on", SAMPLE_ALL, true},
    {"always_on", SAMPLE_ALL, false},
    {"always_off", SAMPLE_NONE, false},
    {"traceidratio", SAMPLE_RATIO, false},
    {"parentbased_always_off", SAMPLE_NONE, true},
    {"parentbased_traceidratio", SAMPLE_RATIO, true},
};

static void read_sampler(struct tidings *service, struct span_settings *settings)
{
    const char *name = variable("OTEL_TRACES_SAMPLER");
    const char *argument = variable("OTEL_TRACES_SAMPLER_ARG");
    size_t count = sizeof samplers / sizeof samplers[0], i = 0;
    while (name != NULL && i < count && strcmp(samplers[i].name, name) != 0) {
        i++;
    }
    if (i == count) {
        service_log(service, TIDINGS_LOG_WARN,
                    "OTEL_TRACES_SAMPLER: '%.50s' is not known; %s is used", name,
                    samplers[0].name);
        i = 0;
    }
    settings->sampler = samplers[i].sampler;
    settings->asks_parent = samplers[i].asks_parent;
    settings->ratio = 1;
    if (settings->sampler == SAMPLE_RATIO && argument != NULL) {
        char *end;
        double ratio = strtod(argument, &end);
        if (*end == '\0' && ratio >= 0 && ratio <= 1) {
            settings->ratio = ratio;
        } else {
            service_log(service, TIDINGS_LOG_WARN,
                        "OTEL_TRACES_SAMPLER_ARG: '%.50s' is not within 0 and 1; 1 is used",
                        argument);
        }
    }
}

/* --- the endpoint --- */

static bool is_url(const char *text)
{
    return strncasecmp(text, "http://", 7) == 0 || strncasecmp(text, "https://", 8) == 0;
}

static char *with_path(const char *base)
{
    size_t size = strlen(base);
    while (size > 0 && base[size - 1] == '/') {
        size--;
    }
    return mem_sprintf("%.*s/v1/traces", (int)size, base);
}

static bool is_off(void)
{
    const char *disabled = variable("OTEL_SDK_DISABLED");
    const char *exporter = variable("OTEL_TRACES_EXPORTER");
    return (disabled != NULL && strcasecmp(disabled, "true") == 0) ||
           (exporter != NULL && strstr(exporter, "otlp") == NULL);
}

static enum tidings_status read_url(struct tidings *service, struct span_settings *settings,
                                    struct tidings_error *error)
{
    const char *option = service->options.otlp_endpoint;
    const char *exact = variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
    const char *base = variable("OTEL_EXPORTER_OTLP_ENDPOINT");
    const char *protocol = variable("OTEL_EXPORTER_OTLP_PROTOCOL");
    if (option != NULL && option[0] != '\0' && !is_url(option)) {
        return error_set(error, TIDINGS_INVALID,
                         "options.otlp_endpoint, %.100s: it is no URL (\"http://127.0.0.1:4318\")",
                         option);
    }
    if (is_off() || (option != NULL && option[0] == '\0')) {
        return TIDINGS_OK;
    }
    settings->url = option != NULL  ? with_path(option)
                    : exact != NULL ? mem_strdup(exact)
                    : base != NULL  ? with_path(base)
                                    : NULL;
    settings->is_optional = option == NULL;
    if (settings->url != NULL && !is_url(settings->url)) {
        service_log(service, TIDINGS_LOG_WARN,
                    "OTEL_EXPORTER_OTLP_ENDPOINT, %.100s: it is no URL; going on without spans",
                    settings->url);
        free(settings->url);
        settings->url = NULL;
    }
    if (settings->url != NULL && protocol != NULL && strcmp(protocol, "http/json") != 0) {
        service_log(service, TIDINGS_LOG_WARN,
                    "OTEL_EXPORTER_OTLP_PROTOCOL: spans go out as http/json, not as %.50s",
                    protocol);
    }
    return TIDINGS_OK;
}

enum tidings_status span_settings_read(struct tidings *service, struct span_settings *settings,
                                       struct tidings_error *error)
{
    enum { TIMEOUT_MS = 10000, DELAY_MS = 5000 };
    const char *headers = variable("OTEL_EXPORTER_OTLP_TRACES_HEADERS");
    const char *name = variable("OTEL_SERVICE_NAME");
    *settings = (struct span_settings){0};
    enum tidings_status status = read_url(service, settings, error);
    if (settings->url == NULL) {
        return status;
    }
    headers = headers != NULL ? headers : variable("OTEL_EXPORTER_OTLP_HEADERS");
    settings->headers = mem_strdup(headers);
    settings->resource = (struct span_resource){
        .service_name = name != NULL ? name : service->options.name,
        .instance = service->options.instance,
        .attributes = variable("OTEL_RESOURCE_ATTRIBUTES"),
        .group = service->options.name,
        .client_id = service->client_id,
    };
    read_sampler(service, settings);
    settings->timeout_ms = milliseconds(service, "OTEL_EXPORTER_OTLP_TIMEOUT", TIMEOUT_MS);
    settings->delay_ms = milliseconds(service, "OTEL_BSP_SCHEDULE_DELAY", DELAY_MS);
    return TIDINGS_OK;
}

void span_settings_deinit(struct span_settings *settings)
{
    free(settings->url);
    free(settings->headers);
}

/* --- pairs --- */

static int digit(char hex)
{
    return isdigit((unsigned char)hex) ? hex - '0' : tolower((unsigned char)hex) - 'a' + 10;
}

static const char *decoded(struct arena *arena, const char *from, size_t size)
{
    char *text = arena_alloc(arena, size + 1);
    size_t used = 0;
    for (size_t i = 0; i < size; i++) {
        if (from[i] == '%' && size - i > 2 && isxdigit((unsigned char)from[i + 1]) &&
            isxdigit((unsigned char)from[i + 2])) {
            text[used++] = (char)(digit(from[i + 1]) * 16 + digit(from[i + 2]));
            i += 2;
        } else {
            text[used++] = from[i];
        }
    }
    text[used] = '\0';
    return text;
}

static void trim(const char **from, size_t *size)
{
    while (*size > 0 && isspace((unsigned char)**from)) {
        ++*from;
        --*size;
    }
    while (*size > 0 && isspace((unsigned char)(*from)[*size - 1])) {
        --*size;
    }
}

bool span_pair(const char **text, struct arena *arena, const char **name, const char **value)
{
    while (**text != '\0') {
        size_t size = strcspn(*text, ",");
        const char *pair = *text, *equals = memchr(pair, '=', size);
        *text += size + ((*text)[size] == ',');
        if (equals != NULL) {
            const char *behind = equals + 1;
            size_t name_size = (size_t)(equals - pair), value_size = size - name_size - 1;
            trim(&pair, &name_size);
            trim(&behind, &value_size);
            *name = decoded(arena, pair, name_size);
            *value = decoded(arena, behind, value_size);
            if (name_size > 0) {
                return true;
            }
        }
    }
    return false;
}
