#include "wire/refusal_inside.h"

#include "wire/api_key.h"

bool wire_refuse(struct wire_writer *writer, int16_t key, int16_t version,
                 struct wire_reader *reader, int16_t error_code)
{
    const struct wire_api_info *info = wire_api_find(key);
    struct refusal refusal = {.reader = reader, .version = version, .error_code = error_code};
    if (info == NULL || version < info->lowest_version || version > info->highest_version) {
        return false;
    }
    for (int i = 0; i < wire_refusals_count; i++) {
        if (wire_refusals[i].key == key) {
            wire_refusals[i].refuse(&refusal, reader, writer);
        }
    }
    return refusal.told > 0 && reader->err == ERR_NONE;
}
