#include "bus/spec/spec_write.h"

#include "base/mem.h"
#include "base/siphash.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

char *spec_key(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    static const struct siphash_key key = {0x7370, 0x6563};
    size_t size = strlen(name);
    if (size > 0 && strspn(name, allowed) == size) {
        return mem_strdup(name);
    }
    char *text = mem_strdup(name);
    for (char *at = text; *at != '\0'; at++) {
        *at = strchr(allowed, *at) != NULL ? *at : '_';
    }
    uint64_t hash = siphash128(&key, name, size).low;
    char *made = mem_sprintf("%.80s-%08x", text, (unsigned)hash);
    free(text);
    return made;
}

static const char *text_of(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));
    return text != NULL ? text : "";
}

static json_t *reference(const char *to, const char *key)
{
    char *text = mem_sprintf("#/%s/%s", to, key);
    json_t *json = json_pack("{s:s}", "$ref", text);
    free(text);
    return json;
}

static json_t *message_reference(const char *channel, const char *message)
{
    char *to = mem_sprintf("channels/%s/messages", channel);
    json_t *json = reference(to, message);
    free(to);
    return json;
}

/* --- servers --- */

static json_t *servers_json(const struct spec_parts *parts)
{
    json_t *servers = json_object();
    const char *at = parts->servers;
    for (int number = 1; at != NULL && *at != '\0'; number++) {
        size_t size = strcspn(at, ",");
        char *host = mem_strndup(at, size);
        char *name = number == 1 ? mem_strdup("bus") : mem_sprintf("bus-%d", number);
        json_t *server = json_pack("{s:s, s:s, s:{s:{s:s}}}", "host", host, "protocol",
                                   parts->protocol, "bindings", "kafka", "bindingVersion", "0.5.0");
        if (server != NULL) {
            json_object_set_new(servers, name, server);
        }
        free(name);
        free(host);
        at += size + (at[size] == ',');
    }
    return servers;
}

/* --- channels and messages --- */

/* NULL: the map has no node of this id. */
static const json_t *node_of(const struct spec_parts *parts, const char *id)
{
    const json_t *nodes = json_object_get(parts->map, "nodes");
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *node = json_array_get(nodes, i);
        if (strcmp(text_of(node, "id"), id) == 0) {
            return node;
        }
    }
    return NULL;
}

/* The topics that carry a type. */
static const json_t *topics_of(const json_t *node)
{
    return json_object_get(node, "topics");
}

static json_t *channel_of(const struct spec_parts *parts, json_t *channels, const char *topic)
{
    char *key = spec_key(topic);
    json_t *channel = json_object_get(channels, key);
    if (channel == NULL) {
        json_t *binding = json_object_get(parts->topics, topic);
        json_t *kafka = binding != NULL ? json_deep_copy(binding) : json_object();
        json_object_set_new(kafka, "bindingVersion", json_string("0.5.0"));
        channel = json_pack("{s:s, s:{}, s:{s:o}}", "address", topic, "messages", "bindings",
                            "kafka", kafka);
        json_object_set_new(channels, key, channel);
    }
    free(key);
    return channel;
}

/* A type that is known by the map alone: nothing of it was looked at yet. */
static json_t *blank_message(const json_t *node)
{
    return json_pack("{s:s}", "name", text_of(node, "name"));
}

static void add_message(const struct spec_parts *parts, const json_t *node, json_t *channels,
                        json_t *messages)
{
    char *key = spec_key(text_of(node, "name"));
    json_t *known = json_object_get(parts->messages, text_of(node, "id"));
    const json_t *topics = topics_of(node);
    json_object_set_new(messages, key, known != NULL ? json_incref(known) : blank_message(node));
    for (size_t i = 0; i < json_array_size(topics); i++) {
        json_t *channel = channel_of(parts, channels, json_string_value(json_array_get(topics, i)));
        json_object_set_new(json_object_get(channel, "messages"), key,
                            reference("components/messages", key));
    }
    free(key);
}

/* --- operations --- */

/* Which of a service's names the bindings show. */
static void set_names(json_t *kafka, const char *field, const json_t *names)
{
    if (json_array_size(names) > 0) {
        json_object_set_new(
            kafka, field, json_pack("{s:s, s:o}", "type", "string", "enum", json_deep_copy(names)));
    }
}

static json_t *operation_of(json_t *operations, const json_t *service, bool is_send,
                            const char *topic)
{
    char *service_key = spec_key(text_of(service, "name")), *channel = spec_key(topic);
    char *key = mem_sprintf("%s.%s.%s", service_key, is_send ? "send" : "receive", channel);
    json_t *operation = json_object_get(operations, key);
    if (operation == NULL) {
        const json_t *names = json_object_get(service, "names");
        json_t *kafka = json_pack("{s:s}", "bindingVersion", "0.5.0");
        set_names(kafka, "clientId", json_object_get(names, "client"));
        if (!is_send) {
            set_names(kafka, "groupId", json_object_get(names, "group"));
        }
        operation =
            json_pack("{s:s, s:s, s:o, s:[], s:{s:o}, s:s, s:s}", "title", text_of(service, "name"),
                      "action", is_send ? "send" : "receive", "channel",
                      reference("channels", channel), "messages", "bindings", "kafka", kafka,
                      "x-service", text_of(service, "name"), "x-state", text_of(service, "state"));
        json_object_set_new(operations, key, operation);
    }
    free(key);
    free(channel);
    free(service_key);
    return operation;
}

static void add_edge(const struct spec_parts *parts, const json_t *edge, json_t *operations)
{
    bool is_send = strcmp(text_of(edge, "kind"), "publishes") == 0;
    if (!is_send && strcmp(text_of(edge, "kind"), "consumes") != 0) {
        return;
    }
    const json_t *service = node_of(parts, text_of(edge, is_send ? "from" : "to"));
    const json_t *type = node_of(parts, text_of(edge, is_send ? "to" : "from"));
    const json_t *topics = topics_of(type);
    char *message = spec_key(text_of(type, "name"));
    for (size_t i = 0; service != NULL && i < json_array_size(topics); i++) {
        const char *topic = json_string_value(json_array_get(topics, i));
        char *channel = spec_key(topic);
        json_t *operation = operation_of(operations, service, is_send, topic);
        json_array_append_new(json_object_get(operation, "messages"),
                              message_reference(channel, message));
        free(channel);
    }
    free(message);
}

json_t *spec_write(const struct spec_parts *parts)
{
    const json_t *nodes = json_object_get(parts->map, "nodes");
    const json_t *edges = json_object_get(parts->map, "edges");
    json_t *channels = json_object(), *messages = json_object(), *operations = json_object();
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *node = json_array_get(nodes, i);
        if (strcmp(text_of(node, "kind"), "service") != 0) {
            add_message(parts, node, channels, messages);
        }
    }
    for (size_t i = 0; i < json_array_size(edges); i++) {
        add_edge(parts, json_array_get(edges, i), operations);
    }
    return json_pack(
        "{s:s, s:{s:s, s:s, s:s}, s:s, s:o, s:o, s:o, s:{s:o}}", "asyncapi", "3.0.0", "info",
        "title", "What goes over this bus", "version", text_of(parts->map, "at"), "description",
        "As observed by Tidings: channels are topics, messages are event types, "
        "schemas are inferred from payloads that were looked at (`x-seen`).",
        "defaultContentType", "application/json", "servers", servers_json(parts), "channels",
        channels, "operations", operations, "components", "messages", messages);
}
