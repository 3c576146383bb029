#include "wire/api_key.h"

const struct wire_api_info *wire_api_find(int16_t key)
{
    for (int i = 0; i < wire_api_info_count; i++) {
        if (wire_api_info[i].key == key) {
            return &wire_api_info[i];
        }
    }
    return NULL;
}

bool wire_api_is_flexible(int16_t key, int16_t version)
{
    const struct wire_api_info *info = wire_api_find(key);
    return info != NULL && info->flexible_version >= 0 && version >= info->flexible_version;
}
