#include "wire/generated/create_acls.h"
#include "wire/generated/delete_acls.h"
#include "wire/generated/describe_acls.h"

#include "api/handlers.h"
#include "base/vec.h"
#include "security/authorizer.h"
#include "topic/catalogue.h"

/*
 * Rules of access (KIP-11, KIP-290). Without authorizer.class.name there are none, and these answer
 * as Kafka does without an authorizer.
 */

enum { RULES_MOST = 100000 }; /* some 200 bytes each; who may make them may do anything */

struct rules {
    VEC_FIELDS(struct acl_rule);
};

static struct slice no_rules(void)
{
    return slice_str("this server keeps no ACLs: whoever can connect may do everything "
                     "(authorizer.class.name)");
}

static struct slice kept_text(struct api_request *request, const struct reason *reason)
{
    return api_keep(request, slice_str(reason->text));
}

/* Why a change is refused as a whole; KAFKA_ERROR_NONE: it is not. */
static int16_t refuse_change(const struct api_request *request, struct slice *message)
{
    if (!api_allows(request, API_ALTER, api_cluster())) {
        *message = slice_str("this client may not change ACLs");
        return KAFKA_ERROR_CLUSTER_AUTHORIZATION_FAILED;
    }
    *message = request->server->rules == NULL ? no_rules() : (struct slice){0};
    return request->server->rules == NULL ? KAFKA_ERROR_SECURITY_DISABLED : KAFKA_ERROR_NONE;
}

/* A rule as the request has it, in its memory, so that it outlives the set's. */
static struct acl_rule keep_rule(struct api_request *request, const struct acl_rule *rule)
{
    struct acl_rule kept = *rule;
    kept.name = api_keep(request, rule->name);
    kept.principal = api_keep(request, rule->principal);
    kept.host = api_keep(request, rule->host);
    return kept;
}

struct collection {
    struct api_request *request;
    struct rules *rules;
};

static void collect(void *context, const struct acl_rule *rule)
{
    struct collection *collection = context;
    *vec_add(collection->rules) = keep_rule(collection->request, rule);
}

/* ---- DescribeAcls ---- */

static bool is_same_resource(const struct acl_rule *a, const struct acl_rule *b)
{
    return a->kind == b->kind && a->pattern == b->pattern && slice_equal(a->name, b->name);
}

/* By resource: rules of one stand behind each other. */
static void fill_resources(struct api_request *request, const struct rules *rules,
                           struct describe_acls_response *response)
{
    response->resources = api_alloc(request, rules->count, sizeof *response->resources);
    for (size_t i = 0; i < rules->count;) {
        size_t end = i;
        while (end < rules->count && is_same_resource(&rules->items[i], &rules->items[end])) {
            end++;
        }
        struct describe_acls_response_resource *out =
            &response->resources[response->resources_count++];
        describe_acls_response_resource_init(out);
        out->resource_type = rules->items[i].kind;
        out->resource_name = rules->items[i].name;
        out->pattern_type = rules->items[i].pattern;
        out->acls = api_alloc(request, end - i, sizeof *out->acls);
        for (; i < end; i++) {
            const struct acl_rule *rule = &rules->items[i];
            out->acls[out->acls_count++] = (struct describe_acls_response_acl){
                .principal = rule->principal,
                .host = rule->host,
                .operation = rule->operation,
                .permission_type = rule->permission,
            };
        }
    }
}

static void describe(struct api_request *request, const struct describe_acls_request *body,
                     struct describe_acls_response *response)
{
    struct reason reason = {""};
    struct rules rules = {0};
    struct collection collection = {request, &rules};
    const struct acl_rule filter = {
        .kind = body->resource_type_filter,
        .pattern = body->pattern_type_filter,
        .operation = body->operation,
        .permission = body->permission_type,
        .name = body->resource_name_filter,
        .principal = body->principal_filter,
        .host = body->host_filter,
    };
    if (request->server->rules == NULL) {
        response->error_code = KAFKA_ERROR_SECURITY_DISABLED;
        response->error_message = no_rules();
    } else if (acl_check_filter(&filter, &reason) != ERR_NONE) {
        response->error_code = KAFKA_ERROR_INVALID_REQUEST;
        response->error_message = kept_text(request, &reason);
    } else {
        authorizer_each(request->server->rules, &filter, collect, &collection);
        fill_resources(request, &rules, response);
    }
    vec_deinit(&rules);
}

enum err handle_describe_acls(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct describe_acls_request body;
    enum err err = describe_acls_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    struct describe_acls_response response;
    describe_acls_response_init(&response);
    if (api_allows(request, API_DESCRIBE, api_cluster())) {
        describe(request, &body, &response);
    } else {
        response.error_code = KAFKA_ERROR_CLUSTER_AUTHORIZATION_FAILED;
    }
    API_REPLY(request, describe_acls_response_encode, &response);
    return ERR_NONE;
}

/* ---- CreateAcls ---- */

/* The good ones that are not there yet, each once; the others get their error. */
static void choose_new(struct api_request *request, const struct create_acls_request *body,
                       struct create_acls_response *response, struct rules *add)
{
    struct authorizer *rules = request->server->rules;
    struct acl_set *chosen = acl_set_new();
    for (int32_t i = 0; i < body->creations_count; i++) {
        const struct create_acls_request_creation *creation = &body->creations[i];
        struct create_acls_response_result *result = &response->results[i];
        struct reason reason;
        struct acl_rule rule = {
            .kind = creation->resource_type,
            .pattern = creation->resource_pattern_type,
            .operation = creation->operation,
            .permission = creation->permission_type,
            .name = creation->resource_name,
            .principal = creation->principal,
            .host = creation->host,
        };
        enum err err = acl_check(&rule, &reason);
        if (err == ERR_NONE && authorizer_count(rules) + add->count >= RULES_MOST) {
            err = reason_fail(&reason, ERR_INVALID, "a server has at most %d ACLs", RULES_MOST);
        }
        if (err != ERR_NONE) {
            result->error_code = KAFKA_ERROR_INVALID_REQUEST;
            result->error_message = kept_text(request, &reason);
        } else if (!authorizer_has(rules, &rule) && acl_set_add(chosen, &rule)) {
            *vec_add(add) = rule;
        }
    }
    acl_set_free(chosen);
}

static void create(struct api_request *request, const struct create_acls_request *body,
                   struct create_acls_response *response)
{
    struct authorizer *rules = request->server->rules;
    struct rules add = {0};
    struct reason reason;
    authorizer_begin_change(rules);
    choose_new(request, body, response, &add);
    enum err err = add.count == 0 ? ERR_NONE
                                  : catalogue_change_acls(request->server->catalogue, add.items,
                                                          add.count, NULL, 0, &reason);
    for (size_t i = 0; err == ERR_NONE && i < add.count; i++) {
        authorizer_add(rules, &add.items[i]);
    }
    authorizer_end_change(rules);
    for (int32_t i = 0; err != ERR_NONE && i < response->results_count; i++) {
        response->results[i].error_code = api_error_code(err);
        response->results[i].error_message = kept_text(request, &reason);
    }
    vec_deinit(&add);
}

enum err handle_create_acls(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct create_acls_request body;
    enum err err = create_acls_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    struct slice message;
    int16_t code = refuse_change(request, &message);
    struct create_acls_response response;
    create_acls_response_init(&response);
    response.results = api_alloc(request, (size_t)body.creations_count, sizeof *response.results);
    response.results_count = body.creations_count;
    for (int32_t i = 0; i < body.creations_count; i++) {
        response.results[i] =
            (struct create_acls_response_result){.error_code = code, .error_message = message};
    }
    if (code == KAFKA_ERROR_NONE) {
        create(request, &body, &response);
    }
    API_REPLY(request, create_acls_response_encode, &response);
    return ERR_NONE;
}

/* ---- DeleteAcls ---- */

/* The rules that one filter is for, in the request's memory. */
static void find_for(struct api_request *request, const struct delete_acls_request_filter *filter,
                     struct delete_acls_response_filter_result *result, struct rules *found)
{
    struct reason reason;
    struct collection collection = {request, found};
    const struct acl_rule wanted = {
        .kind = filter->resource_type_filter,
        .pattern = filter->pattern_type_filter,
        .operation = filter->operation,
        .permission = filter->permission_type,
        .name = filter->resource_name_filter,
        .principal = filter->principal_filter,
        .host = filter->host_filter,
    };
    if (acl_check_filter(&wanted, &reason) != ERR_NONE) {
        result->error_code = KAFKA_ERROR_INVALID_REQUEST;
        result->error_message = kept_text(request, &reason);
    } else {
        authorizer_each(request->server->rules, &wanted, collect, &collection);
    }
}

static void fill_matches(struct api_request *request, const struct rules *found, enum err err,
                         const struct reason *reason,
                         struct delete_acls_response_filter_result *result)
{
    result->matching_acls = api_alloc(request, found->count, sizeof *result->matching_acls);
    result->matching_acls_count = (int32_t)found->count;
    for (size_t i = 0; i < found->count; i++) {
        const struct acl_rule *rule = &found->items[i];
        result->matching_acls[i] = (struct delete_acls_response_matching_acl){
            .error_code = api_error_code(err),
            .error_message = err != ERR_NONE ? kept_text(request, reason) : (struct slice){0},
            .resource_type = rule->kind,
            .resource_name = rule->name,
            .pattern_type = rule->pattern,
            .principal = rule->principal,
            .host = rule->host,
            .operation = rule->operation,
            .permission_type = rule->permission,
        };
    }
}

/* Filter by filter: what one has taken away the next does not find. */
static void take_away(struct api_request *request, const struct delete_acls_request *body,
                      struct delete_acls_response *response)
{
    struct authorizer *rules = request->server->rules;
    for (int32_t i = 0; i < body->filters_count; i++) {
        struct rules found = {0};
        struct reason reason = {""};
        authorizer_begin_change(rules);
        find_for(request, &body->filters[i], &response->filter_results[i], &found);
        enum err err = found.count == 0 ? ERR_NONE
                                        : catalogue_change_acls(request->server->catalogue, NULL, 0,
                                                                found.items, found.count, &reason);
        for (size_t k = 0; err == ERR_NONE && k < found.count; k++) {
            authorizer_remove(rules, &found.items[k]);
        }
        authorizer_end_change(rules);
        fill_matches(request, &found, err, &reason, &response->filter_results[i]);
        vec_deinit(&found);
    }
}

enum err handle_delete_acls(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct delete_acls_request body;
    enum err err = delete_acls_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    struct slice message;
    int16_t code = refuse_change(request, &message);
    struct delete_acls_response response;
    delete_acls_response_init(&response);
    response.filter_results =
        api_alloc(request, (size_t)body.filters_count, sizeof *response.filter_results);
    response.filter_results_count = body.filters_count;
    for (int32_t i = 0; i < body.filters_count; i++) {
        response.filter_results[i] = (struct delete_acls_response_filter_result){
            .error_code = code, .error_message = message};
    }
    if (code == KAFKA_ERROR_NONE) {
        take_away(request, &body, &response);
    }
    API_REPLY(request, delete_acls_response_encode, &response);
    return ERR_NONE;
}
