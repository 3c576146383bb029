#include "bus/map/map_name.h"

#include <stddef.h>

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_hex(uint8_t byte)
{
    return is_digit(byte) || (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
}

static bool is_lower_or_digit(uint8_t byte)
{
    return is_digit(byte) || (byte >= 'a' && byte <= 'z');
}

static bool is_joint(uint8_t byte)
{
    return byte == '-' || byte == '_' || byte == '.' || byte == '#' || byte == '/' || byte == ':';
}

static struct slice from(struct slice text, size_t at)
{
    return slice_of(text.data + at, text.size - at);
}

/* --- names that say nothing --- */

/* What a library calls a client that nobody named, and a version or number may stand behind it. */
static bool is_default(struct slice name)
{
    static const char *const words[] = {
        "rdkafka",
        "sarama",
        "kafkajs",
        "kafka-python",
        "aiokafka",
        "franz-go",
        "kgo",
        "console-producer",
        "console-consumer",
        "confluent-kafka",
        "perf-producer-client",
        "perf-consumer-client",
        "producer",
        "consumer",
        "adminclient",
        "tidings",
        "kafka-go",
        "segmentio",
        "rskafka",
        "kcat",
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t size = strlen(words[i]);
        if (slice_begins_with(name, words[i])) {
            struct slice rest = from(name, size);
            while (rest.size > 0 && (is_digit(rest.data[0]) || is_joint(rest.data[0]))) {
                rest = from(rest, 1);
            }
            if (rest.size == 0) {
                return true;
            }
        }
    }
    return name.size == 0;
}

/* --- instances --- */

enum { UUID_SIZE = 36, POD_SIZE = 5, SET_LEAST = 6, SET_MOST = 10, HEX_LEAST = 8 };

static bool is_uuid(struct slice text)
{
    for (size_t i = 0; i < UUID_SIZE; i++) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (is_dash ? text.data[i] != '-' : !is_hex(text.data[i])) {
            return false;
        }
    }
    return true;
}

/* Up to before a UUID and the joint before that; all where there is none. */
static struct slice before_uuid(struct slice name)
{
    for (size_t at = 0; at + UUID_SIZE <= name.size; at++) {
        if (is_uuid(from(name, at))) {
            return slice_of(name.data, at > 0 && is_joint(name.data[at - 1]) ? at - 1 : at);
        }
    }
    return name;
}

static struct slice before_host(struct slice name)
{
    const uint8_t *at = slice_find(name, '@');
    return at != NULL && at > name.data ? slice_of(name.data, (size_t)(at - name.data)) : name;
}

/* The size of the last part, behind the last joint; the whole size: there is no joint. */
static size_t last_part(struct slice name)
{
    size_t size = 0;
    while (size < name.size && !is_joint(name.data[name.size - 1 - size])) {
        size++;
    }
    return size;
}

static bool all(struct slice text, bool (*is)(uint8_t))
{
    for (size_t i = 0; i < text.size; i++) {
        if (!is(text.data[i])) {
            return false;
        }
    }
    return text.size > 0;
}

static bool has_digit(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (is_digit(text.data[i])) {
            return true;
        }
    }
    return false;
}

/* "-7f9c4d5b6-x2x8q" of a pod: the hash of its set, then its own. */
static size_t pod_size(struct slice name)
{
    size_t pod = last_part(name);
    if (pod != POD_SIZE || pod == name.size ||
        !all(from(name, name.size - pod), is_lower_or_digit)) {
        return 0;
    }
    struct slice rest = slice_of(name.data, name.size - pod - 1);
    size_t set = last_part(rest);
    struct slice hash = from(rest, rest.size - set);
    bool is_pod = set >= SET_LEAST && set <= SET_MOST && set < rest.size &&
                  all(hash, is_lower_or_digit) && has_digit(hash);
    return is_pod ? pod + 1 + set + 1 : 0;
}

/* How many bytes at the end are of one instance, with the joint before them; 0: none. */
static size_t instance_size(struct slice name)
{
    size_t pod = pod_size(name);
    if (pod > 0) {
        return pod;
    }
    size_t part = last_part(name);
    struct slice last = from(name, name.size - part);
    if (part == name.size) {
        return 0;
    }
    bool is_instance =
        all(last, is_digit) || (part >= HEX_LEAST && all(last, is_hex) && has_digit(last));
    return part == 0 || is_instance ? part + 1 : 0;
}

struct slice map_client_name(struct slice client_id)
{
    static const char java[] = "consumer-";
    struct slice name = before_uuid(before_host(client_id));
    bool is_java = slice_begins_with(name, java);
    if (is_default(name)) {
        return (struct slice){0};
    }
    for (size_t size = instance_size(name); size > 0 && size < name.size;
         size = instance_size(name)) {
        name.size -= size;
    }
    if (is_java && name.size > sizeof java - 1) {
        name = from(name, sizeof java - 1);
    }
    return is_default(name) ? (struct slice){0} : name;
}

struct slice map_principal_name(struct slice principal)
{
    if (slice_begins_with(principal, "User:")) {
        principal = from(principal, 5);
    }
    return slice_equal_str(principal, "ANONYMOUS") || principal.size == 0 ? (struct slice){0}
                                                                          : principal;
}

struct slice map_name_key(struct slice name)
{
    struct slice key = name;
    static const char *const starts[] = {"urn:", "https://", "http://"};
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        if (slice_begins_with(key, starts[i])) {
            key = from(key, strlen(starts[i]));
            break;
        }
    }
    while (key.size > 0 && key.data[0] == '/') {
        key = from(key, 1);
    }
    while (key.size > 0 && key.data[key.size - 1] == '/') {
        key.size--;
    }
    return key.size > 0 ? key : name;
}
