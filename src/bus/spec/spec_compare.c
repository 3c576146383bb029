#include "bus/spec/spec_compare.h"

#include "base/mem.h"
#include "bus/spec/spec_inside.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { REFERENCES_MAX = 16 };

/* --- messages --- */

static const char *last_segment(const json_t *reference)
{
    const char *pointer = json_string_value(json_object_get(reference, "$ref"));
    const char *slash = pointer != NULL ? strrchr(pointer, '/') : NULL;
    return slash != NULL ? slash + 1 : NULL;
}

/* By its name, else the last key that leads to it. */
static const char *name_of(const json_t *document, const char *key, const json_t *value)
{
    for (int i = 0; i < REFERENCES_MAX && last_segment(value) != NULL; i++) {
        key = last_segment(value);
        value = spec_follow(document, json_string_value(json_object_get(value, "$ref")));
    }
    const char *name = json_string_value(json_object_get(value, "name"));
    return name != NULL ? name : key;
}

static void add_messages(const json_t *document, json_t *messages, const char *topic, json_t *to)
{
    const char *key;
    json_t *value;
    json_object_foreach(messages, key, value)
    {
        const json_t *message = spec_resolve(document, value);
        const char *name = name_of(document, key, value);
        if (!json_is_object(message)) {
            continue;
        }
        if (json_object_get(to, name) == NULL) {
            json_object_set_new(to, name, json_pack("{s:O, s:[]}", "message", message, "topics"));
        }
        if (topic != NULL) {
            json_array_append_new(json_object_get(json_object_get(to, name), "topics"),
                                  json_string(topic));
        }
    }
}

/* {NAME: {"message", "topics"}} of all messages of a document. */
static json_t *messages_of(const json_t *document)
{
    json_t *to = json_object();
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(document, "channels"), key, value)
    {
        const json_t *channel = spec_resolve(document, value);
        const char *address = json_string_value(json_object_get(channel, "address"));
        add_messages(document, json_object_get(channel, "messages"),
                     address != NULL ? address : key, to);
    }
    add_messages(document, json_object_get(json_object_get(document, "components"), "messages"),
                 NULL, to);
    return to;
}

/* --- consumers --- */

static bool receives(const json_t *document, const json_t *operation, const char *name)
{
    const char *action = json_string_value(json_object_get(operation, "action"));
    const json_t *messages = json_object_get(operation, "messages");
    if (action == NULL || strcmp(action, "receive") != 0) {
        return false;
    }
    for (size_t i = 0; i < json_array_size(messages); i++) {
        if (strcmp(name_of(document, "", json_array_get(messages, i)), name) == 0) {
            return true;
        }
    }
    return false;
}

static json_t *groups_of(const json_t *operation)
{
    const json_t *kafka = json_object_get(json_object_get(operation, "bindings"), "kafka");
    json_t *groups = json_object_get(json_object_get(kafka, "groupId"), "enum");
    return groups != NULL ? json_incref(groups) : json_array();
}

static json_t *consumers_of(const json_t *document, const char *name)
{
    json_t *found = json_object(), *list = json_array();
    const char *key;
    json_t *operation;
    json_object_foreach(json_object_get(document, "operations"), key, operation)
    {
        const char *service = json_string_value(json_object_get(operation, "x-service"));
        service = service != NULL ? service : key;
        if (receives(document, operation, name) && json_object_get(found, service) == NULL) {
            json_object_set_new(found, service, json_true());
            json_array_append_new(
                list, json_pack("{s:s, s:o}", "service", service, "groups", groups_of(operation)));
        }
    }
    json_decref(found);
    return list;
}

/* --- comparing --- */

static const char *content_type_of(const json_t *document, const json_t *message)
{
    const char *type = json_string_value(json_object_get(message, "contentType"));
    return type != NULL ? type : json_string_value(json_object_get(document, "defaultContentType"));
}

/* Without parameters as charset. What was not known is no change. */
static void compare_content_types(struct spec_pair *pair, const json_t *was, const json_t *becomes)
{
    const char *before = content_type_of(pair->was_in, was);
    const char *now = content_type_of(pair->becomes_in, becomes);
    static const char unknown[] = "application/octet-stream";
    if (before == NULL || now == NULL || strcmp(before, unknown) == 0 ||
        strcmp(now, unknown) == 0) {
        return;
    }
    size_t size = strcspn(before, "; ");
    if (size != strcspn(now, "; ") || strncasecmp(before, now, size) != 0) {
        spec_differ(pair, "content", "", true, false, "content type becomes %s: it was %s", now,
                    before);
    }
}

static void compare_topics(struct spec_pair *pair, const json_t *was, const json_t *becomes)
{
    for (size_t i = 0; i < json_array_size(was); i++) {
        for (size_t j = 0; j < json_array_size(becomes); j++) {
            const char *before = json_string_value(json_array_get(was, i));
            const char *now = json_string_value(json_array_get(becomes, j));
            if (spec_address_matches(now, before) || spec_address_matches(before, now)) {
                return;
            }
        }
    }
    if (json_array_size(was) > 0 && json_array_size(becomes) > 0) {
        spec_differ(pair, "moved", "", true, false, "comes on topic '%s' and no more on '%s'",
                    json_string_value(json_array_get(becomes, 0)),
                    json_string_value(json_array_get(was, 0)));
    }
}

/* An object schema with those of its properties alone that the other one has as well; the caller's.
 * Documents name their own headers and hardly ever those of CloudEvents, and the bus tells of no
 * others: what only one of them names is neither lost nor new. */
static json_t *common_headers(const json_t *document, const json_t *schema, const json_t *other)
{
    json_t *properties = json_object_get(schema, "properties");
    const json_t *required = json_object_get(schema, "required");
    const json_t *others = json_object_get(other, "properties");
    json_t *kept = json_object(), *kept_required = json_array();
    const char *name;
    json_t *value;
    json_object_foreach(properties, name, value)
    {
        if (json_object_get(others, name) != NULL) {
            json_object_set_new(kept, name, json_deep_copy(spec_resolve(document, value)));
        }
    }
    for (size_t i = 0; i < json_array_size(required); i++) {
        json_t *one = json_array_get(required, i);
        if (json_is_string(one) && json_object_get(others, json_string_value(one)) != NULL) {
            json_array_append(kept_required, one);
        }
    }
    return json_pack("{s:s, s:o, s:o}", "type", "object", "properties", kept, "required",
                     kept_required);
}

static void compare_headers(struct spec_pair *pair, const json_t *was, const json_t *becomes)
{
    const json_t *before = spec_resolve(pair->was_in, json_object_get(was, "headers"));
    const json_t *now = spec_resolve(pair->becomes_in, json_object_get(becomes, "headers"));
    if (json_is_object(before) && json_is_object(now)) {
        json_t *common = common_headers(pair->was_in, before, now);
        json_t *common_now = common_headers(pair->becomes_in, now, before);
        if (json_object_size(json_object_get(common, "properties")) > 0) {
            spec_compare_schemas(pair, common, common_now, "headers");
        }
        json_decref(common);
        json_decref(common_now);
    }
}

/* The payload's schema; a multi-format one of another language is NULL, and told. */
static const json_t *payload_of(struct spec_pair *pair, const json_t *document,
                                const json_t *message)
{
    const json_t *given = json_object_get(message, "payload");
    const json_t *payload = spec_resolve(document, given);
    const char *format = json_string_value(json_object_get(payload, "schemaFormat"));
    if (format == NULL) {
        return given;
    }
    if (strstr(format, "schema+json") != NULL || strstr(format, "vnd.aai.asyncapi") != NULL) {
        return json_object_get(payload, "schema");
    }
    spec_differ(pair, "unsaid", "", false, false, "cannot be compared: its schema is %s", format);
    return NULL;
}

static void compare_messages(struct spec_pair *pair, const json_t *was, const json_t *becomes)
{
    const json_t *before = json_object_get(was, "message");
    const json_t *now = json_object_get(becomes, "message");
    const json_t *old_payload = payload_of(pair, pair->was_in, before);
    const json_t *new_payload = payload_of(pair, pair->becomes_in, now);
    compare_topics(pair, json_object_get(was, "topics"), json_object_get(becomes, "topics"));
    compare_content_types(pair, before, now);
    if (old_payload != NULL && new_payload != NULL) {
        spec_compare_schemas(pair, old_payload, new_payload, "");
    }
    compare_headers(pair, before, now);
}

static bool has_breaking(const json_t *differences)
{
    for (size_t i = 0; i < json_array_size(differences); i++) {
        if (json_is_true(json_object_get(json_array_get(differences, i), "breaks"))) {
            return true;
        }
    }
    return false;
}

/* One type that both have: whether it breaks somebody. */
static bool compare_type(const json_t *observed, const json_t *file,
                         const struct spec_compare_options *options, const char *name,
                         const json_t *on_bus, const json_t *in_file, json_t *report)
{
    json_t *consumers = consumers_of(observed, name), *differences = json_array();
    bool is_baseline = options->is_baseline;
    struct spec_pair pair = {.options = options,
                             .was_in = is_baseline ? file : observed,
                             .becomes_in = is_baseline ? observed : file,
                             .differences = differences,
                             .has_consumers = json_array_size(consumers) > 0};
    compare_messages(&pair, is_baseline ? in_file : on_bus, is_baseline ? on_bus : in_file);
    bool breaks = has_breaking(differences);
    if (json_array_size(differences) == 0) {
        json_array_append_new(json_object_get(report, "same"), json_string(name));
        json_decref(consumers);
        json_decref(differences);
    } else {
        json_array_append_new(json_object_get(report, "types"),
                              json_pack("{s:s, s:b, s:o, s:o}", "type", name, "breaks", breaks,
                                        "consumers", consumers, "differences", differences));
    }
    return breaks;
}

static enum err check_document(const json_t *file, struct reason *reason)
{
    const char *version = json_string_value(json_object_get(file, "asyncapi"));
    if (version == NULL) {
        return reason_fail(reason, ERR_INVALID,
                           "it is no AsyncAPI document: its member asyncapi is missing");
    }
    if (strncmp(version, "3.", 2) != 0) {
        return reason_fail(reason, ERR_INVALID,
                           "it is of AsyncAPI %s, and 3 is compared: convert it with "
                           "`asyncapi convert`",
                           version);
    }
    return ERR_NONE;
}

enum err spec_compare(const json_t *observed, const json_t *file,
                      const struct spec_compare_options *options, json_t **report,
                      struct reason *reason)
{
    bool breaks = false;
    const char *name;
    json_t *value;
    enum err err = check_document(file, reason);
    *report = NULL;
    if (err != ERR_NONE) {
        return err;
    }
    json_t *on_bus = messages_of(observed), *in_file = messages_of(file), *compared = json_object();
    *report = json_pack("{s:[], s:[], s:[], s:[]}", "types", "same", "only_in_file", "only_on_bus");
    json_object_foreach(on_bus, name, value)
    {
        const char *partner = spec_partner(on_bus, in_file, name);
        if (partner != NULL) {
            json_object_set_new(compared, partner, json_true());
            breaks |= compare_type(observed, file, options, name, value,
                                   json_object_get(in_file, partner), *report);
        } else {
            json_array_append_new(json_object_get(*report, "only_on_bus"), json_string(name));
        }
    }
    json_object_foreach(in_file, name, value)
    {
        if (json_object_get(compared, name) == NULL) {
            json_array_append_new(json_object_get(*report, "only_in_file"), json_string(name));
        }
    }
    json_object_set_new(*report, "breaks", json_boolean(breaks));
    json_decref(compared);
    json_decref(on_bus);
    json_decref(in_file);
    return ERR_NONE;
}
