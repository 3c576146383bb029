#include "bus/api/http_api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * The HTTP of the bus layer alone, beside any bus: http-beside BOOTSTRAP [LISTENER [TIMEOUT_MS]].
 * Prints its address, and ends with its standard input. A line there switches a check of /readyz:
 * "broken WHY" or "mended".
 */

static char broken[256];

static bool is_fine(void *context, char *why, size_t size)
{
    (void)context;
    snprintf(why, size, "%s", broken);
    return broken[0] == '\0';
}

int main(int argc, char **argv)
{
    struct http *http = NULL;
    struct reason reason = {""};
    char line[300];
    struct http_settings settings = {.listener = argc > 2 ? argv[2] : "127.0.0.1:0"};
    if (argc < 2) {
        fprintf(stderr, "usage: http-beside BOOTSTRAP [LISTENER [TIMEOUT_MS]]\n");
        return 2;
    }
    if (http_open(&settings, &http, &reason) != ERR_NONE) {
        fprintf(stderr, "%s\n", reason.text);
        return 1;
    }
    struct connection_settings bus = {.bootstrap_servers = argv[1],
                                      .client_id = "http-beside",
                                      .timeout_ms = argc > 3 ? atoi(argv[3]) : 10000};
    struct http_api *api = http_api_new(&bus);
    size_t count;
    const struct http_route *routes = http_api_routes(api, &count);
    http_add_routes(http, routes, count);
    http_api_add_check(api, &(struct http_check){"index", is_fine, NULL});
    if (http_start(http, &reason) != ERR_NONE) {
        fprintf(stderr, "%s\n", reason.text);
        return 1;
    }
    printf("http=%s\n", http_address(http));
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        snprintf(broken, sizeof broken, "%.250s", strncmp(line, "broken ", 7) == 0 ? line + 7 : "");
        printf("done\n");
        fflush(stdout);
    }
    if (!http_stop(http, 5000)) {
        return 1;
    }
    http_api_free(api);
    http_free(http);
    return 0;
}
