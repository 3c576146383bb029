#include "wire/header.h"

static bool version_is_known(int16_t key, int16_t version)
{
    const struct wire_api_info *info = wire_api_find(key);
    return info != NULL && version >= info->lowest_version && version <= info->highest_version;
}

enum err wire_request_header_decode(struct wire_reader *reader, struct wire_request_header *out)
{
    *out = (struct wire_request_header){0};
    out->api_key = wire_read_int16(reader);
    out->api_version = wire_read_int16(reader);
    out->correlation_id = wire_read_int32(reader);
    if (reader->err != ERR_NONE) {
        return reader->err;
    }
    if (!version_is_known(out->api_key, out->api_version)) {
        return ERR_UNSUPPORTED;
    }
    out->client_id = wire_read_string(reader, false, true);
    if (wire_api_is_flexible(out->api_key, out->api_version)) {
        wire_read_unknown_tags(reader);
    }
    return reader->err;
}

void wire_request_header_encode(struct wire_writer *writer, const struct wire_request_header *in)
{
    if (!version_is_known(in->api_key, in->api_version)) {
        wire_writer_fail(writer, ERR_UNSUPPORTED);
        return;
    }
    wire_write_int16(writer, in->api_key);
    wire_write_int16(writer, in->api_version);
    wire_write_int32(writer, in->correlation_id);
    wire_write_string(writer, in->client_id, false, true);
    if (wire_api_is_flexible(in->api_key, in->api_version)) {
        wire_write_uvarint(writer, 0);
    }
}

static bool response_header_is_flexible(int16_t key, int16_t version)
{
    return key != API_KEY_API_VERSIONS && wire_api_is_flexible(key, version);
}

void wire_response_header_encode(struct wire_writer *writer, int16_t api_key, int16_t api_version,
                                 int32_t correlation_id)
{
    wire_write_int32(writer, correlation_id);
    if (response_header_is_flexible(api_key, api_version)) {
        wire_write_uvarint(writer, 0);
    }
}

enum err wire_response_header_decode(struct wire_reader *reader, int16_t api_key,
                                     int16_t api_version, int32_t *correlation_id)
{
    *correlation_id = wire_read_int32(reader);
    if (response_header_is_flexible(api_key, api_version)) {
        wire_read_unknown_tags(reader);
    }
    return reader->err;
}
