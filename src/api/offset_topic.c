#include "api/offset_topic.h"

static void find_by_id(struct api_request *request, const struct wire_uuid *id,
                       struct offset_topic *out)
{
    struct topic_id topic_id;
    memcpy(topic_id.bytes, id->bytes, sizeof topic_id.bytes);
    out->id = *id;
    out->topic = catalogue_find_id(request->server->catalogue, &topic_id);
    if (out->topic == NULL) {
        out->name = slice_str("");
        out->err = ERR_UNKNOWN_TOPIC_ID;
        return;
    }
    out->name = api_keep(request, slice_str(out->topic->name));
}

void offset_topic_find(struct api_request *request, struct slice name, const struct wire_uuid *id,
                       struct offset_topic *out)
{
    *out = (struct offset_topic){.name = name};
    if (id != NULL) {
        find_by_id(request, id, out);
    } else {
        out->topic = catalogue_find(request->server->catalogue, name);
        out->err = out->topic == NULL ? ERR_NOT_FOUND : ERR_NONE;
    }
    if (out->err != ERR_UNKNOWN_TOPIC_ID && !api_allows(request, API_READ, api_topic(out->name))) {
        out->err = ERR_TOPIC_DENIED;
    }
}

struct group_offset_commit offset_topic_commit(const struct offset_topic *topic, int32_t partition)
{
    enum err err = topic->err;
    if (err == ERR_NONE && topic_partition(topic->topic, partition) == NULL) {
        err = ERR_NOT_FOUND;
    }
    return (struct group_offset_commit){
        .topic = topic->name,
        .topic_id = topic->id,
        .partition = partition,
        .err = err,
    };
}

void offset_topic_count(struct api_request *request, struct slice group,
                        const struct offset_topic *topic, int32_t partitions)
{
    if (topic->err == ERR_NONE) {
        api_connection_count(request->connection, CLIENT_COMMITTED, topic->name, group,
                             (uint64_t)partitions, 0, clock_wall_ms(request->server->clock));
    }
}

void offset_topic_release(struct offset_topic *topic)
{
    if (topic->topic != NULL) {
        topic_unref(topic->topic);
    }
}
