#include "load.h"

#include "base/mem.h"
#include "wire/generated/api_versions.h"

#include <stdlib.h>
#include <sys/resource.h>

/* Each connection asks ApiVersions and is then idle, as a client's is. */
static enum err open_one(const struct load_options *options, struct load_conn *conn,
                         struct reason *reason)
{
    struct arena arena = {0};
    struct api_versions_request request;
    struct api_versions_response response;
    enum err err = load_conn_open(&options->address, conn, reason);
    if (err == ERR_NONE) {
        api_versions_request_init(&request);
        conn->receive_bytes = 4096;
        err = load_call(conn, "api_versions", API_KEY_API_VERSIONS, 0, &request, &response, &arena,
                        reason);
        buf_deinit(&conn->input);
        conn->taken = 0;
    }
    arena_deinit(&arena);
    return err;
}

enum err load_connections(const struct load_options *options, json_t *result, struct reason *reason)
{
    struct load_conn *conns = mem_new_array(struct load_conn, (size_t)options->connections);
    struct rlimit limit;
    struct load_meter before;
    struct load_meter after;
    int count = 0;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    enum err err = load_meter_read(options->server_pid, &before, reason);
    while (count < options->connections && err == ERR_NONE) {
        err = open_one(options, &conns[count], reason);
        count++;
    }
    if (err == ERR_NONE) {
        err = load_meter_read(options->server_pid, &after, reason);
    }
    if (err == ERR_NONE) {
        load_meter_json(result, &before, &after, options->server_pid, 0, 0);
        json_object_set_new(result, "connections", json_integer(count));
        json_object_set_new(
            result, "bytes_each",
            json_real((double)(after.rss_bytes - before.rss_bytes) / (double)count));
    }
    for (int i = 0; i < count; i++) {
        load_conn_close(&conns[i]);
    }
    free(conns);
    return err;
}
