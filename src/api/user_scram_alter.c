#include "wire/generated/alter_user_scram_credentials.h"

#include "api/handlers.h"
#include "base/logger.h"
#include "security/users.h"

/*
 * Changes what is kept of users' passwords (KIP-554). A password does not come: what PBKDF2 made of
 * it does, so who changes it decides on salt and iterations, within Kafka's limits. A user of whom
 * any change is wrong is not changed at all.
 */

/* One change that is asked for. */
struct wanted {
    struct slice name;
    int8_t mechanism;
    const struct alter_user_scram_credentials_request_upsertion *upsertion; /* NULL: a deletion */
};

struct alteration {
    struct api_request *request;
    struct wanted *wanted;
    int32_t count;
    const int32_t *first; /* of the same user */
    unsigned *mechanisms; /* by the first of a user: which were seen */
    struct alter_user_scram_credentials_response_result *results; /* by the first of a user */
    struct user_change *changes;
};

static void gather(struct alteration *alteration,
                   const struct alter_user_scram_credentials_request *body)
{
    struct api_request *request = alteration->request;
    size_t most = (size_t)body->deletions_count + (size_t)body->upsertions_count;
    struct slice *names = api_alloc(request, most, sizeof *names);
    alteration->wanted = api_alloc(request, most, sizeof *alteration->wanted);
    alteration->mechanisms = api_alloc(request, most, sizeof *alteration->mechanisms);
    alteration->results = api_alloc(request, most, sizeof *alteration->results);
    alteration->changes = api_alloc(request, most, sizeof *alteration->changes);
    for (int32_t i = 0; i < body->deletions_count; i++) {
        alteration->wanted[alteration->count++] = (struct wanted){
            .name = body->deletions[i].name, .mechanism = body->deletions[i].mechanism};
    }
    for (int32_t i = 0; i < body->upsertions_count; i++) {
        alteration->wanted[alteration->count++] =
            (struct wanted){.name = body->upsertions[i].name,
                            .mechanism = body->upsertions[i].mechanism,
                            .upsertion = &body->upsertions[i]};
    }
    for (int32_t i = 0; i < alteration->count; i++) {
        names[i] = alteration->wanted[i].name;
    }
    alteration->first = api_first_of_equal(request, names, alteration->count);
}

/* The first error of a user stays. */
static void refuse(struct alteration *alteration, int32_t index, int16_t code, const char *text)
{
    struct alter_user_scram_credentials_response_result *result =
        &alteration->results[alteration->first[index]];
    if (result->error_code == KAFKA_ERROR_NONE) {
        result->error_code = code;
        result->error_message = api_keep(alteration->request, slice_str(text));
    }
}

/* What is wrong with the terms of a new credential; false: nothing. */
static bool is_unacceptable(const struct alter_user_scram_credentials_request_upsertion *upsertion,
                            struct reason *reason)
{
    enum scram_mechanism mechanism = (enum scram_mechanism)upsertion->mechanism;
    if (scram_check_name(upsertion->name, reason) != ERR_NONE ||
        scram_check_terms(upsertion->iterations, upsertion->salt.size, reason) != ERR_NONE) {
        return true;
    }
    reason_set(reason, "a salted password of %zu bytes: %s has %zu",
               upsertion->salted_password.size, scram_name(mechanism), scram_key_bytes(mechanism));
    return upsertion->salted_password.size != scram_key_bytes(mechanism);
}

/* before: as many as stand before it in the request may come to those that there are. */
static bool has_no_room(struct users *users, int32_t before, struct reason *reason)
{
    reason_set(reason, "a server keeps at most %d credentials", USERS_MOST_CREDENTIALS);
    return users_count(users) + (size_t)before >= USERS_MOST_CREDENTIALS;
}

static void check(struct alteration *alteration, int32_t index)
{
    const struct wanted *wanted = &alteration->wanted[index];
    struct users *users = alteration->request->server->users;
    struct reason reason;
    if (wanted->name.size == 0) {
        refuse(alteration, index, KAFKA_ERROR_UNACCEPTABLE_CREDENTIAL, "a user has a name");
        return;
    }
    if (!scram_is_mechanism(wanted->mechanism)) {
        refuse(alteration, index, KAFKA_ERROR_UNSUPPORTED_SASL_MECHANISM,
               "an unknown SCRAM mechanism");
        return;
    }
    unsigned bit = 1u << wanted->mechanism;
    unsigned *seen = &alteration->mechanisms[alteration->first[index]];
    if ((*seen & bit) != 0) {
        refuse(alteration, index, KAFKA_ERROR_DUPLICATE_RESOURCE,
               "a credential cannot be altered twice in the same request");
    } else if (wanted->upsertion == NULL) {
        if (!users_have(users, (enum scram_mechanism)wanted->mechanism, wanted->name)) {
            refuse(alteration, index, KAFKA_ERROR_RESOURCE_NOT_FOUND,
                   "there is no such credential to be deleted");
        }
    } else if (is_unacceptable(wanted->upsertion, &reason) || has_no_room(users, index, &reason)) {
        refuse(alteration, index, KAFKA_ERROR_UNACCEPTABLE_CREDENTIAL, reason.text);
    }
    *seen |= bit;
}

/* The changes of those users of whom all are good; how many there are. */
static size_t make_changes(struct alteration *alteration)
{
    size_t count = 0;
    for (int32_t i = 0; i < alteration->count; i++) {
        const struct wanted *wanted = &alteration->wanted[i];
        if (alteration->results[alteration->first[i]].error_code != KAFKA_ERROR_NONE) {
            continue;
        }
        struct user_change *change = &alteration->changes[count++];
        enum scram_mechanism mechanism = (enum scram_mechanism)wanted->mechanism;
        *change =
            (struct user_change){.name = wanted->name, .is_removal = wanted->upsertion == NULL};
        change->credential.mechanism = mechanism;
        if (wanted->upsertion != NULL) {
            scram_make_salted(mechanism, wanted->upsertion->salted_password.data,
                              wanted->upsertion->salt, wanted->upsertion->iterations,
                              &change->credential);
        }
    }
    return count;
}

static void log_changes(const struct alteration *alteration, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct user_change *change = &alteration->changes[i];
        LOG_INFO("api", "a password was changed",
                 "user=\"%.*s\" mechanism=%s removed=%s by=\"%s\" peer=%s",
                 SLICE_ARGS(change->name), scram_name(change->credential.mechanism),
                 change->is_removal ? "yes" : "no", alteration->request->connection->principal,
                 alteration->request->connection->peer);
    }
}

static void alter(struct alteration *alteration)
{
    struct api_server *server = alteration->request->server;
    struct reason reason = {""};
    users_begin_change(server->users);
    for (int32_t i = 0; i < alteration->count; i++) {
        check(alteration, i);
    }
    size_t count = make_changes(alteration);
    enum err err = catalogue_change_users(server->catalogue, server->users, alteration->changes,
                                          count, &reason);
    users_end_change(server->users);
    for (int32_t i = 0; err != ERR_NONE && i < alteration->count; i++) {
        refuse(alteration, i, api_error_code(err), reason.text);
    }
    log_changes(alteration, err == ERR_NONE ? count : 0);
}

/* Each user once, in the order in which they are named. */
static int32_t pack_results(struct alteration *alteration)
{
    int32_t count = 0;
    for (int32_t i = 0; i < alteration->count; i++) {
        if (alteration->first[i] == i) {
            alteration->results[count] = alteration->results[i];
            alteration->results[count++].user = alteration->wanted[i].name;
        }
    }
    return count;
}

enum err handle_alter_user_scram_credentials(struct api_request *request, struct reason *reason)
{
    struct alter_user_scram_credentials_request body;
    enum err err =
        alter_user_scram_credentials_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    struct alteration alteration = {.request = request};
    gather(&alteration, &body);
    err = api_check_size(request, reason);
    if (err != ERR_NONE) {
        return err;
    }
    if (api_allows(request, API_ALTER, api_cluster())) {
        alter(&alteration);
    } else {
        for (int32_t i = 0; i < alteration.count; i++) {
            refuse(&alteration, i, KAFKA_ERROR_CLUSTER_AUTHORIZATION_FAILED,
                   "this client may not change users");
        }
    }
    struct alter_user_scram_credentials_response response;
    alter_user_scram_credentials_response_init(&response);
    response.results = alteration.results;
    response.results_count = pack_results(&alteration);
    API_REPLY(request, alter_user_scram_credentials_response_encode, &response);
    return ERR_NONE;
}
