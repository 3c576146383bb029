#include "wire/generated/describe_user_scram_credentials.h"

#include "api/handlers.h"
#include "base/vec.h"
#include "security/users.h"

/* Who has which credentials (KIP-554): names, mechanisms and iterations, never what a password can
 * be looked for with. */

struct listing {
    struct api_request *request;
    VEC_FIELDS(struct describe_user_scram_credentials_response_result);
};

/* Credentials come by user and mechanism: a new user begins a new result. */
static void add_credential(void *context, const struct user_told *told)
{
    struct listing *listing = context;
    struct describe_user_scram_credentials_response_result *last =
        listing->count > 0 ? &listing->items[listing->count - 1] : NULL;
    if (last == NULL || !slice_equal(last->user, told->name)) {
        last = vec_add(listing);
        *last = (struct describe_user_scram_credentials_response_result){
            .user = api_keep(listing->request, told->name)};
        last->credential_infos =
            api_alloc(listing->request, SCRAM_MECHANISMS, sizeof *last->credential_infos);
    }
    last->credential_infos[last->credential_infos_count++] =
        (struct describe_user_scram_credentials_response_credential_info){
            .mechanism = (int8_t)told->mechanism, .iterations = told->iterations};
}

static void add_error(struct listing *listing, struct slice user, int16_t code, const char *text)
{
    *vec_add(listing) = (struct describe_user_scram_credentials_response_result){
        .user = user, .error_code = code, .error_message = slice_str(text)};
}

/* Each user who is asked for once; of one who is asked for more often nothing is told but that. */
static void list_named(struct listing *listing,
                       const struct describe_user_scram_credentials_request *body)
{
    struct api_request *request = listing->request;
    struct slice *names = api_alloc(request, (size_t)body->users_count, sizeof *names);
    bool *twice = api_alloc(request, (size_t)body->users_count, sizeof *twice);
    for (int32_t i = 0; i < body->users_count; i++) {
        names[i] = body->users[i].name;
    }
    const int32_t *first = api_first_of_equal(request, names, body->users_count);
    for (int32_t i = 0; i < body->users_count; i++) {
        twice[first[i]] |= first[i] != i;
    }
    for (int32_t i = 0; i < body->users_count; i++) {
        size_t before = listing->count;
        if (first[i] == i && twice[i]) {
            add_error(listing, names[i], KAFKA_ERROR_DUPLICATE_RESOURCE,
                      "this user is asked for more than once");
        } else if (first[i] == i) {
            users_each(request->server->users, names[i], add_credential, listing);
            if (listing->count == before) {
                add_error(listing, names[i], KAFKA_ERROR_RESOURCE_NOT_FOUND,
                          "there is no such user");
            }
        }
    }
}

enum err handle_describe_user_scram_credentials(struct api_request *request, struct reason *reason)
{
    struct describe_user_scram_credentials_request body;
    enum err err =
        describe_user_scram_credentials_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    struct describe_user_scram_credentials_response response;
    describe_user_scram_credentials_response_init(&response);
    struct listing listing = {.request = request};
    if (!api_allows(request, API_DESCRIBE, api_cluster())) {
        response.error_code = KAFKA_ERROR_CLUSTER_AUTHORIZATION_FAILED;
    } else if (body.users_count > 0) {
        list_named(&listing, &body);
    } else {
        users_each(request->server->users, (struct slice){0}, add_credential, &listing);
    }
    err = api_check_size(request, reason);
    response.results = listing.items;
    response.results_count = (int32_t)listing.count;
    if (err == ERR_NONE) {
        API_REPLY(request, describe_user_scram_credentials_response_encode, &response);
    }
    vec_deinit(&listing);
    return err;
}
