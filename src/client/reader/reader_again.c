#include "client/reader/reader_inside.h"

#include "base/clock.h"
#include "base/mem.h"
#include "client/admin/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * A static member that was refused with FENCED_INSTANCE_ID. librdkafka takes that as the end of its
 * handle, whatever the reason was:
 * - Another process joined under the same instance id (KIP-345). Then it really is the end.
 * - This one did not hear of the bus for a session and forgot its own member id. What it sends
 *   under none, a commit from before for example, is refused because the bus still knows the id.
 *   Then a new handle joins again, and goes on from what was committed.
 * The group's description tells the two apart: who holds the instance id now, somebody else's
 * member id or one that was ours. (A member that is called by its client id is told from it by that
 * id, so where the two are the same nobody is seen, and this one joins again.) A coordinator that
 * has just taken over may still name the process that died before this one began, so the other one
 * has to be there for a session. The later process to join has it, so two of them do not fence each
 * other by turns; and where the answer of our own JoinGroup was lost, so that its member id is not
 * known here, once a session is the limit.
 */

enum { AGAIN_MS = 1000 };

/* --- handles --- */

void reader_bury_due(struct reader *reader)
{
    struct reader_handle **at = &reader->buried;
    while (*at != NULL) {
        struct reader_handle *handle = *at;
        if (reader_in_hand(handle) > 0) {
            at = &handle->next;
            continue;
        }
        *at = handle->next;
        rd_kafka_queue_destroy(handle->fetched);
        reader_free_handle(&reader->connection, handle, handle->rk, true);
    }
}

enum client_status reader_start_group(struct reader *reader, struct client_error *error)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_dup(reader->conf); /* without its interceptors */
    reader_group_configure(reader, conf);
    enum client_status status =
        connection_start(&reader->connection, RD_KAFKA_CONSUMER, conf, error);
    if (status == CLIENT_OK) {
        pthread_mutex_lock(&reader->wake_lock);
        reader->fetched = rd_kafka_queue_get_consumer(reader->connection.rk);
        pthread_mutex_unlock(&reader->wake_lock);
        rd_kafka_poll_set_consumer(reader->connection.rk);
    }
    return status;
}

/* Opens another handle. The one of before is freed when no event of it is in hand any more. */
static enum client_status replace(struct reader *reader, struct client_error *error)
{
    struct reader_handle *former = reader->handle;
    reader_nobody_end(reader);
    former->rk = reader->connection.rk;
    former->fetched = reader->fetched;
    reader->handle = mem_new(struct reader_handle);
    struct client_error why;
    if (reader_start_group(reader, &why) == CLIENT_OK) {
        reader->is_committing = false;
        former->next = reader->buried;
        reader->buried = former;
        return CLIENT_OK;
    }
    free(reader->handle);
    reader->handle = former;
    reader->connection.rk = former->rk;
    return client_fail(error, CLIENT_FATAL, NULL, "cannot join again: %.400s", why.text);
}

/* --- whose place it is --- */

static enum client_status fail_fenced(const struct reader *reader, const char *how,
                                      struct client_error *error)
{
    char text[400];
    snprintf(text, sizeof text, "instance '%.100s' of group '%.100s' %s", reader->instance,
             reader->group, how);
    return client_fail_code(error, RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, text);
}

static bool was_ours(const struct reader *reader, const char *member_id)
{
    const char *const ours[] = {reader->member_id, reader->fence.last_id};
    bool is_ours = reader->fence.may_have_joined;
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        is_ours |= ours[i] != NULL && strcmp(member_id, ours[i]) == 0;
    }
    return is_ours;
}

/* The id of another member that the group knows under our instance id; NULL: there is none. The
 * caller's. */
static enum client_status find_other(struct reader *reader, char **other,
                                     struct client_error *error)
{
    struct admin_group group;
    *other = NULL;
    enum client_status status = admin_group(&reader->connection, reader->group, &group, error);
    for (size_t i = 0; status == CLIENT_OK && i < group.members.count; i++) {
        const struct admin_member *member = &group.members.items[i];
        if (*other == NULL && member->instance_id != NULL &&
            strcmp(member->instance_id, reader->instance) == 0 && !was_ours(reader, member->id)) {
            *other = mem_strdup(member->id);
        }
    }
    admin_group_deinit(&group);
    return status;
}

/* Whether the other one lives: a coordinator that has just begun may still know the process that
 * died before this one began, and forgets it after a session. Takes the id. */
static bool lives(struct reader *reader, char *other, int64_t now_ms)
{
    enum { GRACE_MS = 3000 };
    struct reader_fence *fence = &reader->fence;
    if (fence->other_id != NULL && strcmp(fence->other_id, other) == 0) {
        free(other);
        return now_ms - fence->other_at_ms > reader->session_timeout_ms + GRACE_MS;
    }
    struct client_error what;
    client_fail(&what, CLIENT_TIMED_OUT, NULL,
                "instance '%.100s' of group '%.100s' is another process, or was before this one "
                "began: that is seen after a session (%d ms)",
                reader->instance, reader->group, reader->session_timeout_ms);
    reader_notice(reader, &what);
    free(fence->other_id);
    fence->other_id = other;
    fence->other_at_ms = now_ms;
    return false;
}

static void tell_again(struct reader *reader)
{
    struct client_error what;
    client_fail(&what, CLIENT_TIMED_OUT, NULL,
                "instance '%.100s' of group '%.100s' was away longer than its session (%d ms): it "
                "joins again and goes on from what was committed; events since then may come again",
                reader->instance, reader->group, reader->session_timeout_ms);
    reader_notice(reader, &what);
}

/* --- the way back --- */

bool reader_is_fenced(const struct reader *reader)
{
    char text[16];
    return reader->is_group && reader->instance != NULL &&
           rd_kafka_fatal_error(reader->connection.rk, text, sizeof text) ==
               RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID;
}

enum client_status reader_fenced(struct reader *reader, struct client_error *error)
{
    struct reader_fence *fence = &reader->fence;
    int64_t now_ms = clock_mono_ms(clock_system());
    if (fence->joined_at_ms != 0 && now_ms - fence->joined_at_ms < reader->session_timeout_ms) {
        return fail_fenced(reader,
                           "was fenced right after it had joined again: another process has its "
                           "name",
                           error);
    }
    fence->may_have_joined = atomic_load(&reader->handle->has_open_join);
    char *last_id = rd_kafka_memberid(reader->connection.rk);
    free(fence->last_id);
    fence->last_id = mem_strdup(last_id);
    rd_kafka_mem_free(reader->connection.rk, last_id);
    reader_group_lose(reader);
    fence->look_at_ms = now_ms;
    return replace(reader, error);
}

enum client_status reader_again_due(struct reader *reader, struct client_error *error)
{
    struct reader_fence *fence = &reader->fence;
    reader_bury_due(reader);
    if (fence->look_at_ms == 0 || clock_mono_ms(clock_system()) < fence->look_at_ms) {
        return CLIENT_OK;
    }
    char *other;
    struct client_error why;
    enum client_status status = find_other(reader, &other, &why);
    int64_t now_ms = clock_mono_ms(clock_system());
    if (other != NULL && lives(reader, other, now_ms)) {
        return fail_fenced(reader, "is another process by now", error);
    }
    if (other != NULL || status != CLIENT_OK) {
        fence->look_at_ms = now_ms + AGAIN_MS; /* or the bus is away again: later */
        return CLIENT_OK;
    }
    tell_again(reader);
    fence->look_at_ms = 0;
    fence->joined_at_ms = clock_mono_ms(clock_system());
    return reader_group_join(reader, error);
}
