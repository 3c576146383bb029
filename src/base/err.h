#ifndef TIDINGS_BASE_ERR_H
#define TIDINGS_BASE_ERR_H

/*
 * The errors that functions return.
 *
 * They say what went wrong inside; src/api/error_code.c is the one table that turns them into
 * Kafka's error codes. Input that may be wrong returns one of these; what must be true (a bug if
 * it is not) is asserted.
 */
enum err {
    ERR_NONE = 0,

    /* bytes and limits */
    ERR_CORRUPT,      /* bytes are not what they claim to be (CRC, length, magic) */
    ERR_TRUNCATED,    /* the bytes end before the value does */
    ERR_TOO_LARGE,    /* over a configured limit */
    ERR_UNSUPPORTED,  /* a version, format or codec that is not served */
    ERR_INVALID,      /* an argument, name or request that can never succeed */
    ERR_CONFIG,       /* an unknown setting or a value out of its bounds */
    ERR_OUT_OF_RANGE, /* an offset before the log's start or after its end */

    /* files and the machine */
    ERR_IO,       /* the system call failed; the reason text names it */
    ERR_NO_SPACE, /* the disk is full */
    ERR_LOCKED,   /* another process holds the data directory */
    ERR_LIMIT,    /* a limit on connections, memory or descriptors is reached */

    /* things and their life */
    ERR_NOT_FOUND,
    ERR_EXISTS,
    ERR_CLOSED, /* the object is shutting down */
    ERR_TIMEOUT,
    ERR_AGAIN, /* not now; the same call may succeed later */

    /* records */
    ERR_INVALID_RECORD,        /* a record inside a batch breaks a rule of its topic */
    ERR_INVALID_TIMESTAMP,     /* a timestamp outside the topic's bounds */
    ERR_UNSUPPORTED_MAGIC,     /* message format before v2 */
    ERR_UNSUPPORTED_CODEC,     /* unknown compression type */
    ERR_DUPLICATE_SEQUENCE,    /* already appended; the offsets of the first time are returned */
    ERR_OUT_OF_ORDER_SEQUENCE, /* a sequence number is missing before this one */
    ERR_UNKNOWN_PRODUCER,      /* nothing is known of the producer id */
    ERR_PRODUCER_FENCED,       /* the producer epoch is older than the one on record */

    /* consumer groups */
    ERR_UNKNOWN_MEMBER,
    ERR_ILLEGAL_GENERATION,
    ERR_REBALANCE_IN_PROGRESS,
    ERR_INCONSISTENT_PROTOCOL,
    ERR_MEMBER_ID_REQUIRED,
    ERR_FENCED_INSTANCE,
    ERR_INVALID_SESSION_TIMEOUT,
    ERR_GROUP_MAX_SIZE,
    ERR_GROUP_NOT_EMPTY,
    ERR_GROUP_NOT_FOUND,
    ERR_SUBSCRIBED,              /* the group still reads this topic */
    ERR_LOADING,                 /* the coordinator is still reading its log */
    ERR_INVALID_GROUP,           /* an empty or missing group id */
    ERR_COORDINATOR_UNAVAILABLE, /* the group's records could not be stored */
    ERR_METADATA_TOO_LARGE,      /* of a committed offset: over offset.metadata.max.bytes */
    ERR_COMMIT_SIZE,             /* of a committed offset: there is no room for it */
    ERR_UNSTABLE_OFFSET,         /* an open transaction holds an offset for this partition */
    ERR_FENCED_MEMBER_EPOCH,     /* the member's epoch is not the one on record (KIP-848) */
    ERR_STALE_MEMBER_EPOCH,      /* the member is to heartbeat first (KIP-848) */
    ERR_UNRELEASED_INSTANCE,     /* the instance id is still another member's */
    ERR_UNSUPPORTED_ASSIGNOR,    /* no assignor of this name on the server */
    ERR_INVALID_REGEX,           /* a subscription that is no regular expression */

    /* transactions */
    ERR_INVALID_TXN_STATE,       /* the transaction's state does not allow this */
    ERR_PRODUCER_ID_MAPPING,     /* the producer id is not the one of this transactional id */
    ERR_INVALID_TXN_TIMEOUT,     /* over transaction.max.timeout.ms, or not positive */
    ERR_CONCURRENT_TXNS,         /* the one before is still being completed: ask again */
    ERR_COORDINATOR_FENCED,      /* a marker of an older coordinator epoch */
    ERR_TXN_PRODUCER_FENCED,     /* a newer producer has this transactional id */
    ERR_TXN_NOT_FOUND,           /* no such transactional id */
    ERR_TXN_ABORTABLE,           /* this transaction can only be aborted (KIP-890) */
    ERR_OPERATION_NOT_ATTEMPTED, /* another partition of the same request failed */
    ERR_UNKNOWN_TOPIC_ID,        /* no topic has this id */
    ERR_TOPIC_DENIED,            /* the client may not do this with the topic */
    ERR_GROUP_DENIED,            /* the same of a group */
    ERR_TRANSACTIONAL_ID_DENIED, /* the same of a transactional id */

    ERR_COUNT
};

/* A result that must be looked at. */
#define CHECKED __attribute__((warn_unused_result))

/* A short lower-case word for logs and tests: "corrupt", "no-space". Never NULL. */
const char *err_name(enum err err);

/*
 * Why something failed, in words for a person: what happened, to what, what to do.
 * Functions that take a `struct reason *` accept NULL.
 */
struct reason {
    char text[256];
};

/* Formats into reason->text, cut at its size. Does nothing when reason is NULL. */
void reason_set(struct reason *reason, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Like reason_set, and returns err: `return reason_fail(reason, ERR_INVALID, "...")`. */
enum err reason_fail(struct reason *reason, enum err err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The failure of a system call: adds strerror(errno); ENOSPC and EDQUOT give ERR_NO_SPACE. */
enum err reason_errno(struct reason *reason, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
