#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const names[ERR_COUNT] = {
    [ERR_NONE] = "none",
    [ERR_CORRUPT] = "corrupt",
    [ERR_TRUNCATED] = "truncated",
    [ERR_TOO_LARGE] = "too-large",
    [ERR_UNSUPPORTED] = "unsupported",
    [ERR_INVALID] = "invalid",
    [ERR_CONFIG] = "bad-config",
    [ERR_OUT_OF_RANGE] = "out-of-range",
    [ERR_IO] = "io",
    [ERR_NO_SPACE] = "no-space",
    [ERR_LOCKED] = "locked",
    [ERR_LIMIT] = "limit",
    [ERR_NOT_FOUND] = "not-found",
    [ERR_EXISTS] = "exists",
    [ERR_CLOSED] = "closed",
    [ERR_TIMEOUT] = "timeout",
    [ERR_AGAIN] = "again",
    [ERR_INVALID_RECORD] = "invalid-record",
    [ERR_INVALID_TIMESTAMP] = "invalid-timestamp",
    [ERR_UNSUPPORTED_MAGIC] = "unsupported-magic",
    [ERR_UNSUPPORTED_CODEC] = "unsupported-codec",
    [ERR_DUPLICATE_SEQUENCE] = "duplicate-sequence",
    [ERR_OUT_OF_ORDER_SEQUENCE] = "out-of-order-sequence",
    [ERR_UNKNOWN_PRODUCER] = "unknown-producer",
    [ERR_PRODUCER_FENCED] = "producer-fenced",
    [ERR_UNKNOWN_MEMBER] = "unknown-member",
    [ERR_ILLEGAL_GENERATION] = "illegal-generation",
    [ERR_REBALANCE_IN_PROGRESS] = "rebalance-in-progress",
    [ERR_INCONSISTENT_PROTOCOL] = "inconsistent-protocol",
    [ERR_MEMBER_ID_REQUIRED] = "member-id-required",
    [ERR_FENCED_INSTANCE] = "fenced-instance",
    [ERR_INVALID_SESSION_TIMEOUT] = "invalid-session-timeout",
    [ERR_GROUP_MAX_SIZE] = "group-max-size",
    [ERR_GROUP_NOT_EMPTY] = "group-not-empty",
    [ERR_GROUP_NOT_FOUND] = "group-not-found",
    [ERR_SUBSCRIBED] = "subscribed",
    [ERR_LOADING] = "loading",
    [ERR_INVALID_GROUP] = "invalid-group",
    [ERR_COORDINATOR_UNAVAILABLE] = "coordinator-unavailable",
    [ERR_METADATA_TOO_LARGE] = "metadata-too-large",
    [ERR_COMMIT_SIZE] = "commit-size",
    [ERR_UNSTABLE_OFFSET] = "unstable-offset",
    [ERR_FENCED_MEMBER_EPOCH] = "fenced-member-epoch",
    [ERR_STALE_MEMBER_EPOCH] = "stale-member-epoch",
    [ERR_UNRELEASED_INSTANCE] = "unreleased-instance",
    [ERR_UNSUPPORTED_ASSIGNOR] = "unsupported-assignor",
    [ERR_INVALID_REGEX] = "invalid-regex",
    [ERR_INVALID_TXN_STATE] = "invalid-transaction-state",
    [ERR_PRODUCER_ID_MAPPING] = "producer-id-mapping",
    [ERR_INVALID_TXN_TIMEOUT] = "invalid-transaction-timeout",
    [ERR_CONCURRENT_TXNS] = "concurrent-transactions",
    [ERR_COORDINATOR_FENCED] = "coordinator-fenced",
    [ERR_TXN_PRODUCER_FENCED] = "transactional-producer-fenced",
    [ERR_TXN_NOT_FOUND] = "transactional-id-not-found",
    [ERR_TXN_ABORTABLE] = "transaction-abortable",
    [ERR_OPERATION_NOT_ATTEMPTED] = "operation-not-attempted",
    [ERR_UNKNOWN_TOPIC_ID] = "unknown-topic-id",
    [ERR_TOPIC_DENIED] = "topic-denied",
    [ERR_GROUP_DENIED] = "group-denied",
    [ERR_TRANSACTIONAL_ID_DENIED] = "transactional-id-denied",
};

const char *err_name(enum err err)
{
    if ((unsigned)err >= ERR_COUNT || names[err] == NULL) {
        return "unknown";
    }
    return names[err];
}

__attribute__((format(printf, 2, 0))) static void reason_format(struct reason *reason,
                                                                const char *format, va_list args)
{
    if (reason != NULL) {
        vsnprintf(reason->text, sizeof reason->text, format, args);
    }
}

void reason_set(struct reason *reason, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    reason_format(reason, format, args);
    va_end(args);
}

enum err reason_fail(struct reason *reason, enum err err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    reason_format(reason, format, args);
    va_end(args);
    return err;
}

enum err reason_errno(struct reason *reason, const char *format, ...)
{
    int saved = errno;
    if (reason != NULL) {
        va_list args;
        va_start(args, format);
        reason_format(reason, format, args);
        va_end(args);
        size_t used = strlen(reason->text);
        char text[96];
        snprintf(reason->text + used, sizeof reason->text - used, ": %s",
                 strerror_r(saved, text, sizeof text));
    }
    errno = saved;
    return saved == ENOSPC || saved == EDQUOT ? ERR_NO_SPACE : ERR_IO;
}
