#include "step.h"

#include <stdio.h>
#include <time.h>

const char *text_of(const json_t *step, const char *key)
{
    return json_string_value(json_object_get(step, key));
}

int64_t number_of(const json_t *step, const char *key, int64_t otherwise)
{
    const json_t *value = json_object_get(step, key);
    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

const char *prefixed(struct name *name, const struct client *client, const char *text)
{
    snprintf(name->text, sizeof name->text, "%s.%s", client->prefix, text);
    return name->text;
}

int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void pause_ms(long pause)
{
    nanosleep(&(struct timespec){.tv_nsec = pause * 1000000}, NULL);
}
