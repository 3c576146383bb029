#include "cli/bus/raw_request.h"

#include "client/connection/connection.h"

enum { ANSWER_MOST_BYTES = 256 << 20, CORRELATION = 1 };

void raw_request_init(struct raw_request *request, int16_t api_key, int16_t version)
{
    *request = (struct raw_request){.api_key = api_key, .version = version};
    const struct wire_request_header header = {.api_key = api_key,
                                               .api_version = version,
                                               .correlation_id = CORRELATION,
                                               .client_id = slice_str(CONNECTION_COMMAND)};
    buf_append_be32(&request->bytes, 0); /* the size, when it is known */
    wire_writer_init(&request->writer, &request->bytes);
    wire_request_header_encode(&request->writer, &header);
}

void raw_request_deinit(struct raw_request *request)
{
    wire_writer_deinit(&request->writer);
    buf_deinit(&request->bytes);
}

void raw_answer_deinit(struct raw_answer *answer)
{
    arena_deinit(&answer->arena);
    buf_deinit(&answer->bytes);
}

static enum err receive(struct raw_stream *stream, int64_t until_ms,
                        const struct raw_request *request, struct raw_answer *answer,
                        struct reason *reason)
{
    uint8_t head[4];
    int32_t correlation = 0;
    enum err err = raw_stream_receive(stream, head, sizeof head, until_ms, reason);
    if (err == ERR_NONE && load_be32(head) > ANSWER_MOST_BYTES) {
        err = reason_fail(reason, ERR_TOO_LARGE, "the answer is too large");
    }
    if (err == ERR_NONE) {
        size_t size = load_be32(head);
        err = raw_stream_receive(stream, buf_extend(&answer->bytes, size), size, until_ms, reason);
    }
    if (err == ERR_NONE) {
        wire_reader_init(&answer->reader, buf_slice(&answer->bytes), &answer->arena);
        err = wire_response_header_decode(&answer->reader, request->api_key, request->version,
                                          &correlation);
    }
    if (err == ERR_NONE && correlation != CORRELATION) {
        err = reason_fail(reason, ERR_CORRUPT, "the answer is to another question");
    }
    return err;
}

enum err raw_exchange(struct raw_stream *stream, const struct raw_request *request,
                      struct raw_answer *answer, int64_t until_ms, struct reason *reason)
{
    *answer = (struct raw_answer){.arena = {.limit_bytes = ANSWER_MOST_BYTES}};
    if (request->writer.err != ERR_NONE) {
        return reason_fail(reason, request->writer.err, "the question is too large");
    }
    store_be32(request->bytes.data, (uint32_t)(request->bytes.size - 4));
    enum err err =
        raw_stream_send(stream, request->bytes.data, request->bytes.size, until_ms, reason);
    return err == ERR_NONE ? receive(stream, until_ms, request, answer, reason) : err;
}
