#include "cli/bus/topic_choice.h"

#include "base/mem.h"
#include "cli/base/cli.h"

#include <stdlib.h>
#include <string.h>

static bool has_name(const struct topic_choice *choice, const char *name)
{
    for (size_t i = 0; i < choice->names.count; i++) {
        if (strcmp(choice->names.items[i], name) == 0) {
            return true;
        }
    }
    return false;
}

int topic_choice_init(struct topic_choice *choice, const struct text_list *given)
{
    *choice = (struct topic_choice){0};
    for (size_t i = 0; i < given->count; i++) {
        const char *text = given->items[i];
        struct pattern *pattern;
        struct reason reason;
        if (text[0] != '^') {
            if (!has_name(choice, text)) {
                text_list_add(&choice->names, mem_strdup(text));
            }
            continue;
        }
        if (pattern_new(slice_str(text), &pattern, &reason) != ERR_NONE) {
            return cli_fail(EXIT_USAGE, NULL, "'%s' is no regular expression: %s", text,
                            reason.text);
        }
        vec_push(&choice->expressions, (struct topic_expression){.text = text, .pattern = pattern});
    }
    return EXIT_OK;
}

void topic_choice_deinit(struct topic_choice *choice)
{
    for (size_t i = 0; i < choice->names.count; i++) {
        free((void *)(uintptr_t)choice->names.items[i]);
    }
    text_list_deinit(&choice->names);
    for (size_t i = 0; i < choice->expressions.count; i++) {
        pattern_free(choice->expressions.items[i].pattern);
    }
    vec_deinit(&choice->expressions);
}

static bool is_found(const struct topic_choice *choice, const struct admin_topic *topic)
{
    bool found = false;
    for (size_t i = 0; !topic->is_internal && !found && i < choice->expressions.count; i++) {
        found = pattern_finds(choice->expressions.items[i].pattern, slice_str(topic->name));
    }
    return found;
}

enum client_status topic_choice_look(struct topic_choice *choice, struct connection *connection,
                                     int64_t number, struct topic_partitions *added,
                                     struct client_error *error)
{
    struct admin_topics topics;
    enum client_status status = admin_topics(connection, &topics, error);
    for (size_t i = 0; i < topics.count; i++) {
        const struct admin_topic *topic = &topics.items[i];
        if (topic->partitions.count == 0 || !is_found(choice, topic) ||
            has_name(choice, topic->name)) {
            continue;
        }
        text_list_add(&choice->names, mem_strdup(topic->name));
        for (size_t j = 0; j < topic->partitions.count; j++) {
            if (number < 0 || number == topic->partitions.items[j].id) {
                topic_partitions_add(added, topic->name, topic->partitions.items[j].id, -1);
            }
        }
    }
    admin_topics_deinit(&topics);
    return status;
}

int topic_choice_check(const struct topic_choice *choice)
{
    for (size_t i = 0; i < choice->expressions.count; i++) {
        const struct topic_expression *expression = &choice->expressions.items[i];
        bool found = false;
        for (size_t j = 0; !found && j < choice->names.count; j++) {
            found = pattern_finds(expression->pattern, slice_str(choice->names.items[j]));
        }
        if (!found) {
            return cli_fail(EXIT_NOT_FOUND, "see the topics with: tidings topic list",
                            "no topic's name matches '%s'", expression->text);
        }
    }
    return EXIT_OK;
}
