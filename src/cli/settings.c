#include "cli/settings.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void setting_list_deinit(struct settings *settings)
{
    for (size_t i = 0; i < settings->count; i++) {
        free(settings->items[i].name);
        free(settings->items[i].value);
    }
    free(settings->items);
    *settings = (struct settings){0};
}

static struct setting *find(const struct settings *settings, const char *name)
{
    for (size_t i = 0; i < settings->count; i++) {
        if (strcmp(settings->items[i].name, name) == 0) {
            return &settings->items[i];
        }
    }
    return NULL;
}

const char *setting_list_get(const struct settings *settings, const char *name)
{
    const struct setting *found = find(settings, name);
    return found != NULL ? found->value : NULL;
}

void setting_list_set(struct settings *settings, const char *name, const char *value)
{
    struct setting *found = find(settings, name);
    if (found != NULL) {
        free(found->value);
        found->value = mem_strdup(value);
        return;
    }
    settings->items = mem_realloc(settings->items, (settings->count + 1) * sizeof *settings->items);
    settings->items[settings->count++] =
        (struct setting){.name = mem_strdup(name), .value = mem_strdup(value)};
}

static void drop(struct settings *settings, const char *name)
{
    struct setting *found = find(settings, name);
    if (found != NULL) {
        free(found->name);
        free(found->value);
        *found = settings->items[--settings->count];
    }
}

enum err setting_list_merge(struct settings *settings, const struct settings *known,
                            const struct text_list *sets, const struct text_list *drops,
                            struct reason *reason)
{
    for (size_t i = 0; i < drops->count; i++) {
        if (find(known, drops->items[i]) == NULL) {
            return reason_fail(reason, ERR_CONFIG, "a topic has no setting '%.100s'",
                               drops->items[i]);
        }
        drop(settings, drops->items[i]);
    }
    for (size_t i = 0; i < sets->count; i++) {
        char *name;
        const char *value;
        bool is_pair = options_split_pair(sets->items[i], &name, &value);
        assert(is_pair);
        (void)is_pair;
        setting_list_set(settings, name, value);
        free(name);
    }
    return ERR_NONE;
}
