#include "base/address.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

bool address_split(const char *text, char host[ADDRESS_HOST_SIZE], const char **port)
{
    const char *colon = strrchr(text, ':');
    size_t size = colon != NULL ? (size_t)(colon - text) : 0;
    bool is_bracketed = size >= 2 && text[0] == '[' && text[size - 1] == ']';
    if (colon == NULL || size >= ADDRESS_HOST_SIZE || colon[1] == '\0' ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1) || strlen(colon + 1) > 5 ||
        atoi(colon + 1) > UINT16_MAX) {
        return false;
    }
    text += is_bracketed;
    size -= is_bracketed ? 2 : 0;
    memcpy(host, text, size);
    host[size] = '\0';
    *port = colon + 1;
    return true;
}
