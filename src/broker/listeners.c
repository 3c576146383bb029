#include "broker/listeners.h"

#include "base/mem.h"
#include "base/slice.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* As Apache Kafka: names count in capital letters. */
static char *capitals(char *name)
{
    for (char *at = name; *at != '\0'; at++) {
        *at = *at >= 'a' && *at <= 'z' ? (char)(*at - 'a' + 'A') : *at;
    }
    return name;
}

static enum err parse_one(const char *setting, struct slice text, struct server_address *out,
                          struct reason *reason)
{
    char *copy = mem_strndup((const char *)text.data, text.size);
    char *scheme_end = strstr(copy, "://");
    char *host = scheme_end != NULL ? scheme_end + 3 : copy;
    char *colon = strrchr(host, ':');
    char *end = NULL;
    long port = colon != NULL && colon[1] != '\0' ? strtol(colon + 1, &end, 10) : -1;
    enum err err = ERR_NONE;
    if (scheme_end == copy || port < 0 || port > 65535 || *end != '\0') {
        err = reason_fail(reason, ERR_CONFIG,
                          "%s: '%s' is no HOST:PORT (examples: 127.0.0.1:9092, :9092, [::1]:0, "
                          "SSL://:9093)",
                          setting, copy);
    } else {
        out->is_named = scheme_end != NULL;
        out->name = scheme_end != NULL ? capitals(mem_strndup(copy, (size_t)(scheme_end - copy)))
                                       : mem_strdup("PLAINTEXT");
        out->host = mem_strndup(host, (size_t)(colon - host));
        out->port = (uint16_t)port;
    }
    free(copy);
    return err;
}

enum err server_addresses_parse(const char *setting, const char *text, struct server_addresses *out,
                                struct reason *reason)
{
    enum err err = ERR_NONE;
    *out = (struct server_addresses){0};
    for (const char *at = text; err == ERR_NONE && *at != '\0';) {
        at += strspn(at, " ");
        size_t size = strcspn(at, ",");
        err = parse_one(setting, slice_of(at, size), vec_add(out), reason);
        at += size + (at[size] == ',');
    }
    if (err != ERR_NONE) {
        server_addresses_deinit(out);
    }
    return err;
}

void server_addresses_deinit(struct server_addresses *addresses)
{
    for (size_t i = 0; i < addresses->count; i++) {
        free(addresses->items[i].name);
        free(addresses->items[i].host);
    }
    vec_deinit(addresses);
}

static enum err parse_protocol(const char *name, struct slice text, enum listener_protocol *out,
                               struct reason *reason)
{
    static const char *const protocols[] = {
        [LISTENER_PLAINTEXT] = "PLAINTEXT",
        [LISTENER_SSL] = "SSL",
        [LISTENER_SASL_PLAINTEXT] = "SASL_PLAINTEXT",
        [LISTENER_SASL_SSL] = "SASL_SSL",
    };
    for (size_t i = 0; i < sizeof protocols / sizeof protocols[0]; i++) {
        if (text.size == strlen(protocols[i]) &&
            strncasecmp((const char *)text.data, protocols[i], text.size) == 0) {
            *out = (enum listener_protocol)i;
            return ERR_NONE;
        }
    }
    return reason_fail(reason, ERR_CONFIG,
                       "listeners: %s:// speaks %.*s, which is no protocol; PLAINTEXT, SSL, "
                       "SASL_PLAINTEXT and SASL_SSL are",
                       name, (int)text.size, (const char *)text.data);
}

/* The protocol of this name in the map; null: it is not there. */
static struct slice find_protocol(const char *map, const char *name)
{
    size_t name_size = strlen(name);
    for (const char *at = map; *at != '\0';) {
        at += strspn(at, " ");
        size_t size = strcspn(at, ",");
        if (size > name_size && at[name_size] == ':' && strncasecmp(at, name, name_size) == 0) {
            const char *protocol = at + name_size + 1;
            size_t room = size - name_size - 1;
            size_t blank = strcspn(protocol, " ");
            return slice_of(protocol, blank < room ? blank : room);
        }
        at += size + (at[size] == ',');
    }
    return (struct slice){0};
}

enum err listeners_set_protocols(struct server_addresses *listeners, const char *map,
                                 struct reason *reason)
{
    for (size_t i = 0; i < listeners->count; i++) {
        struct server_address *listener = &listeners->items[i];
        struct slice protocol = find_protocol(map, listener->name);
        if (slice_is_null(protocol)) {
            return reason_fail(
                reason, ERR_CONFIG,
                "listeners: %s:// is no protocol, and listener.security.protocol.map "
                "does not say which one it speaks",
                listener->name);
        }
        enum err err = parse_protocol(listener->name, protocol, &listener->protocol, reason);
        if (err != ERR_NONE) {
            return err;
        }
    }
    return ERR_NONE;
}

bool listeners_have(const struct server_addresses *listeners, enum listener_protocol protocol)
{
    for (size_t i = 0; i < listeners->count; i++) {
        if (listeners->items[i].protocol == protocol) {
            return true;
        }
    }
    return false;
}

static bool is_taken(const size_t *of, size_t count, size_t listener)
{
    for (size_t i = 0; i < count; i++) {
        if (of[i] == listener) {
            return true;
        }
    }
    return false;
}

/* The first listener of this name that no address before has; listeners->count: none. */
static size_t find_listener(const struct server_addresses *listeners, const char *name,
                            const size_t *of, size_t count)
{
    size_t i = 0;
    while (i < listeners->count &&
           (strcmp(listeners->items[i].name, name) != 0 || is_taken(of, count, i))) {
        i++;
    }
    return i;
}

enum err listeners_match(const struct server_addresses *listeners,
                         const struct server_addresses *advertised, size_t *of,
                         struct reason *reason)
{
    if (advertised->count > listeners->count) {
        return reason_fail(reason, ERR_CONFIG,
                           "advertised.listeners: %zu addresses for %zu listeners",
                           advertised->count, listeners->count);
    }
    for (size_t i = 0; i < advertised->count; i++) {
        const struct server_address *address = &advertised->items[i];
        of[i] = address->is_named ? find_listener(listeners, address->name, of, i) : i;
        if (of[i] == listeners->count || is_taken(of, i, of[i])) {
            return reason_fail(reason, ERR_CONFIG,
                               "advertised.listeners: %s://%s:%u is of no listener that is left: "
                               "each listener has one address, under the same name",
                               address->name, address->host, address->port);
        }
    }
    return ERR_NONE;
}
