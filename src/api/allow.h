#ifndef TIDINGS_API_ALLOW_H
#define TIDINGS_API_ALLOW_H

#include "api/connection.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * What a client may do: asked in one place, by api_allows, for each resource that a request
 * touches, before it is touched. Operations and kinds of resources have the numbers of Kafka's
 * AclOperation and ResourceType; which API asks what follows Apache Kafka's and stands in
 * api_table. Nothing is refused while api_server.authorizer is NULL.
 */
enum api_operation {
    API_NO_OPERATION = 0,
    API_READ = 3,
    API_WRITE = 4,
    API_CREATE = 5,
    API_DELETE = 6,
    API_ALTER = 7,
    API_DESCRIBE = 8,
    API_CLUSTER_ACTION = 9,
    API_DESCRIBE_CONFIGS = 10,
    API_ALTER_CONFIGS = 11,
    API_IDEMPOTENT_WRITE = 12
};

enum api_resource_kind {
    API_NO_KIND = 0,
    API_TOPIC = 2,
    API_GROUP = 3,
    API_CLUSTER = 4,
    API_TRANSACTIONAL_ID = 5
};

struct api_resource {
    enum api_resource_kind kind;
    struct slice name; /* null: any of its kind will do */
};

/* The resource of this name, which is borrowed; a null name is taken as an empty one: */

static inline struct api_resource api_topic(struct slice name)
{
    return (struct api_resource){API_TOPIC, slice_is_null(name) ? slice_str("") : name};
}

static inline struct api_resource api_any_topic(void)
{
    return (struct api_resource){API_TOPIC, {0}};
}

static inline struct api_resource api_group(struct slice name)
{
    return (struct api_resource){API_GROUP, slice_is_null(name) ? slice_str("") : name};
}

static inline struct api_resource api_transactional_id(struct slice name)
{
    return (struct api_resource){API_TRANSACTIONAL_ID, slice_is_null(name) ? slice_str("") : name};
}

static inline struct api_resource api_cluster(void)
{
    return (struct api_resource){API_CLUSTER, slice_str("kafka-cluster")};
}

/* One thing that an API asks; a row of api_table has up to so many. */
struct api_permission {
    uint8_t operation; /* API_NO_OPERATION: none */
    uint8_t kind;
};
enum { API_PERMISSIONS = 4 };

struct api_authorizer {
    void *context;
    /* Must not wait. who: only what is fixed may be read. Any thread. */
    bool (*allows)(void *context, const struct api_connection *who, enum api_operation operation,
                   struct api_resource resource);
};

struct authorizer;

/* An authorizer for api_server that decides by these rules, which outlive it. What the process
 * itself asks for is always allowed. */
struct api_authorizer api_authorizer_by(struct authorizer *rules);

struct api_request;

/* Whether the request's client may do this. The row of its API must say that it asks. Any thread.
 */
CHECKED bool api_allows(const struct api_request *request, enum api_operation operation,
                        struct api_resource resource);

/* What it may do with a resource, as bits 1 << operation of those that its kind knows (KIP-430). */
int32_t api_allowed_operations(const struct api_request *request, struct api_resource resource);

/* The same of the cluster: none for who may not describe it. */
int32_t api_cluster_operations(const struct api_request *request);

#endif
