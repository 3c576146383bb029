#include "bus/api/http_api.h"
#include "bus/api/http_dead.h"
#include "bus/console/console.h"
#include "bus/watch/bus_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * The console beside any bus: console-beside BOOTSTRAP [TIMEOUT_MS] [shown|hidden] [LISTENER].
 * Prints its address, and ends with its standard input.
 */
int main(int argc, char **argv)
{
    struct http *http = NULL;
    struct reason reason = {""};
    struct http_settings settings = {.listener = argc > 4 ? argv[4] : "127.0.0.1:0",
                                     .hides_payloads = argc > 3 && strcmp(argv[3], "hidden") == 0};
    if (argc < 2) {
        fprintf(stderr, "usage: console-beside BOOTSTRAP [TIMEOUT_MS] [shown|hidden] [LISTENER]\n");
        return 2;
    }
    if (http_open(&settings, &http, &reason) != ERR_NONE) {
        fprintf(stderr, "%s\n", reason.text);
        return 1;
    }
    struct connection_settings bus = {.bootstrap_servers = argv[1],
                                      .client_id = "console-beside",
                                      .timeout_ms = argc > 2 ? atoi(argv[2]) : 30000};
    struct http_api *api = http_api_new(&bus);
    struct bus_asker *asker = bus_asker_new(&bus);
    struct bus_parts parts = {.dir = "/nowhere", .connection = &bus, .http = http, .asker = asker};
    void *dead = http_dead_make(&parts);
    void *console = console_make(&parts);
    size_t count;
    const struct http_route *routes = http_api_routes(api, &count);
    http_add_routes(http, routes, count);
    routes = http_dead_routes(dead, &count);
    http_add_routes(http, routes, count);
    routes = console_routes(console, &count);
    http_add_routes(http, routes, count);
    if (http_start(http, &reason) != ERR_NONE) {
        fprintf(stderr, "%s\n", reason.text);
        return 1;
    }
    printf("http=%s\n", http_address(http));
    fflush(stdout);
    while (getchar() != EOF) {
    }
    if (!http_stop(http, 5000)) {
        return 1;
    }
    console_free(console);
    http_dead_free(dead);
    bus_asker_free(asker);
    http_api_free(api);
    http_free(http);
    return 0;
}
