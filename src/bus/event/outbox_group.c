#include "bus/event/outbox_group.h"

#include <string.h>

bool outbox_group_is(struct slice group)
{
    static const char mark[] = ".outbox.";
    enum { ID_CHARS = 36 };
    size_t tail = sizeof mark - 1 + ID_CHARS;
    if (group.size <= tail) {
        return false;
    }
    const char *at = (const char *)group.data + group.size - tail;
    const char *id = at + sizeof mark - 1;
    size_t fits = 0;
    while (fits < ID_CHARS && id[fits] != '\0' && strchr("0123456789abcdef-", id[fits]) != NULL) {
        fits++;
    }
    return fits == ID_CHARS && memcmp(at, mark, sizeof mark - 1) == 0;
}
