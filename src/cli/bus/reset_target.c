#include "cli/bus/reset_target.h"

#include <stdlib.h>
#include <string.h>

enum err reset_target_parse(const char *text, char topic[RESET_TOPIC_SIZE], int32_t *partition,
                            struct reason *reason)
{
    size_t size = strcspn(text, ":");
    const char *number = text + size + 1;
    *partition = -1;
    if (size == 0 || size >= RESET_TOPIC_SIZE) {
        return reason_fail(reason, ERR_INVALID, "'%.100s' is not TOPIC or TOPIC:PARTITION", text);
    }
    if (text[size] == ':') {
        size_t digits = strspn(number, "0123456789");
        if (digits == 0 || digits > 9 || number[digits] != '\0') {
            return reason_fail(reason, ERR_INVALID, "'%.100s' is not TOPIC or TOPIC:PARTITION",
                               text);
        }
        *partition = (int32_t)strtol(number, NULL, 10);
    }
    memcpy(topic, text, size);
    topic[size] = '\0';
    return ERR_NONE;
}
