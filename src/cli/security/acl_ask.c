#include "cli/security/acl_ask.h"

#include "base/mem.h"
#include "wire/generated/create_acls.h"
#include "wire/generated/delete_acls.h"
#include "wire/generated/describe_acls.h"
#include "wire/generated/describe_configs.h"
#include "wire/kafka_error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 1, CONFIGS_VERSION = 1, RESOURCE_BROKER = 4 };

/* --- failures --- */

static int fail_raw(const struct raw_bus *bus, enum err err, const struct reason *reason)
{
    const char *where = bus->security.bootstrap != NULL ? bus->security.bootstrap : "";
    switch (err) {
    case ERR_CONFIG:
    case ERR_UNSUPPORTED:
        return cli_fail(EXIT_USAGE, "check the -X properties", "%s", reason->text);
    case ERR_TIMEOUT:
        return cli_fail(EXIT_TIMED_OUT, "allow more time with --timeout",
                        "the bus at %s does not answer: %s", where, reason->text);
    default:
        return cli_fail(EXIT_UNREACHABLE,
                        "is the bus running? Name another address with --bootstrap-server "
                        "HOST:PORT, and how to reach it with -X",
                        "cannot reach the bus at %s: %s", where, reason->text);
    }
}

static int fail_code(int16_t code, struct slice message, const char *what)
{
    struct client_error error;
    char *text = mem_strndup((const char *)message.data, message.size);
    client_fail_code(&error, code, text);
    free(text);
    return bus_fail(&error, "%s", what);
}

/* Sends what was written, to the broker that changes go to. The answer is to be read when EXIT_OK
 * comes back. */
static int ask(struct raw_bus *bus, struct raw_request *request, struct raw_answer *answer)
{
    struct reason reason = {"the answer cannot be read"};
    enum err err = raw_bus_ask(bus, bus->controller, request, answer, &reason);
    return err == ERR_NONE ? EXIT_OK : fail_raw(bus, err, &reason);
}

static int fail_unreadable(const struct raw_bus *bus)
{
    const struct reason reason = {"its answer cannot be read"};
    return fail_raw(bus, ERR_CORRUPT, &reason);
}

int acl_ask_begin(struct raw_bus *bus, const struct bus_options *options)
{
    struct reason reason = {""};
    enum err err = raw_bus_init_for(bus, options, options->timeout_ms, &reason);
    if (err == ERR_NONE && bus->brokers.count == 0) {
        err = reason_fail(&reason, ERR_IO, "it names no brokers");
    }
    return err == ERR_NONE ? EXIT_OK : fail_raw(bus, err, &reason);
}

/* --- rules --- */

static int by_order(const void *one, const void *other)
{
    return acl_compare(one, other);
}

static void take_rules(const struct describe_acls_response *body, struct acl_rules *rules)
{
    for (int32_t i = 0; i < body->resources_count; i++) {
        const struct describe_acls_response_resource *resource = &body->resources[i];
        for (int32_t j = 0; j < resource->acls_count; j++) {
            const struct acl_rule rule = {
                .kind = resource->resource_type,
                .pattern = resource->pattern_type,
                .operation = resource->acls[j].operation,
                .permission = resource->acls[j].permission_type,
                .name = resource->resource_name,
                .principal = resource->acls[j].principal,
                .host = resource->acls[j].host,
            };
            acl_rules_add(rules, &rule);
        }
    }
    if (rules->count > 0) {
        qsort(rules->items, rules->count, sizeof rules->items[0], by_order);
    }
}

int acl_ask_rules(struct raw_bus *bus, const struct acl_rule *filter, struct acl_rules *rules,
                  bool *is_off)
{
    struct raw_request request;
    struct raw_answer answer;
    struct describe_acls_response told;
    const struct describe_acls_request body = {
        .resource_type_filter = filter->kind,
        .resource_name_filter = filter->name,
        .pattern_type_filter = filter->pattern,
        .principal_filter = filter->principal,
        .host_filter = filter->host,
        .operation = filter->operation,
        .permission_type = filter->permission,
    };
    raw_request_init(&request, API_KEY_DESCRIBE_ACLS, VERSION);
    describe_acls_request_encode(&request.writer, VERSION, &body);
    int code = ask(bus, &request, &answer);
    if (code == EXIT_OK &&
        describe_acls_response_decode(&answer.reader, VERSION, &told) != ERR_NONE) {
        code = fail_unreadable(bus);
    } else if (code == EXIT_OK && told.error_code == KAFKA_ERROR_SECURITY_DISABLED &&
               is_off != NULL) {
        *is_off = true;
    } else if (code == EXIT_OK && told.error_code != 0) {
        code = fail_code(told.error_code, told.error_message, "read the rules");
    } else if (code == EXIT_OK) {
        take_rules(&told, rules);
    }
    raw_answer_deinit(&answer);
    raw_request_deinit(&request);
    return code;
}

/* What became of each; the exit code is the first failure's. */
static int tell_added(const struct create_acls_response *told, const struct acl_rules *rules,
                      int16_t *codes)
{
    int code = EXIT_OK;
    for (int32_t i = 0; i < told->results_count && (size_t)i < rules->count; i++) {
        struct buf what = {0};
        codes[i] = told->results[i].error_code;
        if (codes[i] != 0) {
            buf_printf(&what, "add the rule '");
            acl_write_rule(&what, &rules->items[i]);
            buf_printf(&what, "'");
            int one = fail_code(codes[i], told->results[i].error_message, buf_cstr(&what));
            code = code == EXIT_OK ? one : code;
        }
        buf_deinit(&what);
    }
    return code;
}

int acl_ask_add(struct raw_bus *bus, const struct acl_rules *rules, int16_t *codes)
{
    struct raw_request request;
    struct raw_answer answer;
    struct create_acls_request body;
    struct create_acls_response told;
    struct arena arena = {0};
    create_acls_request_init(&body);
    body.creations = arena_alloc_array(&arena, rules->count + 1, sizeof *body.creations);
    body.creations_count = (int32_t)rules->count;
    for (size_t i = 0; i < rules->count; i++) {
        const struct acl_rule *rule = &rules->items[i];
        body.creations[i] = (struct create_acls_request_creation){
            .resource_type = rule->kind,
            .resource_name = rule->name,
            .resource_pattern_type = rule->pattern,
            .principal = rule->principal,
            .host = rule->host,
            .operation = rule->operation,
            .permission_type = rule->permission,
        };
        codes[i] = -1;
    }
    raw_request_init(&request, API_KEY_CREATE_ACLS, VERSION);
    create_acls_request_encode(&request.writer, VERSION, &body);
    int code = ask(bus, &request, &answer);
    if (code == EXIT_OK) {
        code = create_acls_response_decode(&answer.reader, VERSION, &told) == ERR_NONE &&
                       told.results_count == body.creations_count
                   ? tell_added(&told, rules, codes)
                   : fail_unreadable(bus);
    }
    raw_answer_deinit(&answer);
    raw_request_deinit(&request);
    arena_deinit(&arena);
    return code;
}

static int take_removed(const struct delete_acls_response_filter_result *result,
                        struct acl_rules *removed)
{
    int code = EXIT_OK;
    if (result->error_code != 0) {
        return fail_code(result->error_code, result->error_message, "remove rules");
    }
    for (int32_t i = 0; i < result->matching_acls_count; i++) {
        const struct delete_acls_response_matching_acl *from = &result->matching_acls[i];
        const struct acl_rule rule = {
            .kind = from->resource_type,
            .pattern = from->pattern_type,
            .operation = from->operation,
            .permission = from->permission_type,
            .name = from->resource_name,
            .principal = from->principal,
            .host = from->host,
        };
        if (from->error_code == 0) {
            acl_rules_add(removed, &rule);
        } else {
            int one = fail_code(from->error_code, from->error_message, "remove a rule");
            code = code == EXIT_OK ? one : code;
        }
    }
    return code;
}

int acl_ask_remove(struct raw_bus *bus, const struct acl_rule *filter, struct acl_rules *removed)
{
    struct raw_request request;
    struct raw_answer answer;
    struct delete_acls_request body;
    struct delete_acls_response told;
    struct delete_acls_request_filter wanted = {
        .resource_type_filter = filter->kind,
        .resource_name_filter = filter->name,
        .pattern_type_filter = filter->pattern,
        .principal_filter = filter->principal,
        .host_filter = filter->host,
        .operation = filter->operation,
        .permission_type = filter->permission,
    };
    delete_acls_request_init(&body);
    body.filters = &wanted;
    body.filters_count = 1;
    raw_request_init(&request, API_KEY_DELETE_ACLS, VERSION);
    delete_acls_request_encode(&request.writer, VERSION, &body);
    int code = ask(bus, &request, &answer);
    if (code == EXIT_OK) {
        code = delete_acls_response_decode(&answer.reader, VERSION, &told) == ERR_NONE &&
                       told.filter_results_count == 1
                   ? take_removed(&told.filter_results[0], removed)
                   : fail_unreadable(bus);
    }
    if (removed->count > 0) {
        qsort(removed->items, removed->count, sizeof removed->items[0], by_order);
    }
    raw_answer_deinit(&answer);
    raw_request_deinit(&request);
    return code;
}

/* --- settings --- */

static const char *const setting_names[] = {"authorizer.class.name", "super.users",
                                            "allow.everyone.if.no.acl.found"};
enum { SETTINGS = sizeof setting_names / sizeof setting_names[0] };

static struct acl_setting *setting_at(struct acl_settings *settings, size_t index)
{
    struct acl_setting *const all[SETTINGS] = {&settings->authorizer, &settings->super_users,
                                               &settings->allow_without_rules};
    return all[index];
}

/* One that is not in a good answer is not set; Apache Kafka has some of them there, and keeps what
 * they are for itself. */
static void take_settings(const struct describe_configs_response_result *result,
                          struct acl_settings *settings)
{
    for (size_t i = 0; i < SETTINGS; i++) {
        struct acl_setting *setting = setting_at(settings, i);
        setting->is_told = true;
        for (int32_t j = 0; j < result->configs_count; j++) {
            const struct describe_configs_response_config *config = &result->configs[j];
            if (!slice_equal_str(config->name, setting_names[i])) {
                continue;
            }
            setting->is_told = !config->is_sensitive;
            if (!slice_is_null(config->value) && config->value.size > 0) {
                setting->value = mem_strndup((const char *)config->value.data, config->value.size);
            }
        }
    }
}

void acl_ask_settings(struct raw_bus *bus, struct acl_settings *settings)
{
    struct raw_request request;
    struct raw_answer answer;
    struct describe_configs_request body;
    struct describe_configs_response told;
    struct describe_configs_request_resource broker;
    struct reason reason;
    struct slice keys[SETTINGS];
    char id[16];
    *settings = (struct acl_settings){0};
    snprintf(id, sizeof id, "%d", (int)bus->brokers.items[bus->controller].id);
    for (size_t i = 0; i < SETTINGS; i++) {
        keys[i] = slice_str(setting_names[i]);
    }
    describe_configs_request_init(&body);
    describe_configs_request_resource_init(&broker);
    broker.resource_type = RESOURCE_BROKER;
    broker.resource_name = slice_str(id);
    broker.configuration_keys = keys;
    broker.configuration_keys_count = SETTINGS;
    body.resources = &broker;
    body.resources_count = 1;
    raw_request_init(&request, API_KEY_DESCRIBE_CONFIGS, CONFIGS_VERSION);
    describe_configs_request_encode(&request.writer, CONFIGS_VERSION, &body);
    if (raw_bus_ask(bus, bus->controller, &request, &answer, &reason) == ERR_NONE &&
        describe_configs_response_decode(&answer.reader, CONFIGS_VERSION, &told) == ERR_NONE &&
        told.results_count == 1 && told.results[0].error_code == 0) {
        take_settings(&told.results[0], settings);
    }
    raw_answer_deinit(&answer);
    raw_request_deinit(&request);
}

void acl_settings_deinit(struct acl_settings *settings)
{
    for (size_t i = 0; i < SETTINGS; i++) {
        free(setting_at(settings, i)->value);
    }
    *settings = (struct acl_settings){0};
}
