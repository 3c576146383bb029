/*
 * A service that turns input into output for test_transact.py.
 *
 * usage: transform_service ADDRESS NAME INPUT OUTPUT [instance=NAME] [attempts=N] [batch=N]
 * [order=partition] [plain]
 *
 * For each event it publishes two with the same key, values "N a" and "N b" for an input "N WHAT",
 * and only then does as WHAT says: "ok"; "fail K": fails its first K attempts; "gate PATH": fails
 * until there is a file of that name; "closed PATH": can never work until then; "large PATH":
 * publishes what the bus refuses until then; "nowhere PATH": the same to a topic that there is not.
 * plain: without exactly_once. SIGTERM ends it in order. Log lines on standard error.
 */
#include "tidings.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LARGE = 900000 };

static struct tidings *service;
static const char *output;

static void on_signal(int number)
{
    (void)number;
    tidings_stop(service);
}

static bool publish(const struct tidings_event *event, const char *topic, const char *data,
                    size_t size)
{
    const struct tidings_message message = {.topic = topic,
                                            .type = "Turned",
                                            .key = event->key,
                                            .content_type = "text/plain",
                                            .cause = event,
                                            .data = data,
                                            .data_size = size};
    return tidings_publish(service, &message, NULL, NULL, NULL) == TIDINGS_OK;
}

static bool is_closed(const char *what, const char *word)
{
    size_t size = strlen(word);
    return strncmp(what, word, size) == 0 && what[size] == ' ' &&
           access(what + size + 1, F_OK) != 0;
}

static enum tidings_verdict turn(const struct tidings_event *event)
{
    static char large[LARGE];
    const char *data = event->data != NULL ? event->data : "";
    int number = 0, at = 0, fails = 0;
    char line[32];
    if (sscanf(data, "%d %n", &number, &at) != 1) {
        return tidings_reject(event, "test", "no number");
    }
    const char *what = data + at;
    for (const char *part = "ab"; *part != '\0'; part++) {
        int size = snprintf(line, sizeof line, "%d %c", number, *part);
        if (!publish(event, output, line, (size_t)size)) {
            return tidings_retry(event, 0, "test", "not published");
        }
    }
    if ((is_closed(what, "large") && !publish(event, output, large, sizeof large)) ||
        (is_closed(what, "nowhere") && !publish(event, "nowhere", "x", 1))) {
        return tidings_retry(event, 0, "test", "not published");
    }
    if (is_closed(what, "closed")) {
        return tidings_reject(event, "test", "%d did not work", number);
    }
    if (is_closed(what, "gate") ||
        (sscanf(what, "fail %d", &fails) == 1 && event->attempt <= fails)) {
        return tidings_retry(event, 0, "test", "%d did not work", number);
    }
    return TIDINGS_DONE;
}

static enum tidings_verdict one(struct tidings *its, const struct tidings_event *event,
                                void *context)
{
    (void)its;
    (void)context;
    return turn(event);
}

static enum tidings_verdict many(struct tidings *its, const struct tidings_event *const *events,
                                 size_t count, void *context)
{
    (void)its;
    (void)context;
    for (size_t i = 0; i < count; i++) {
        (void)turn(events[i]); /* it says itself what failed */
    }
    return TIDINGS_DONE;
}

static int number_of(const char *option, const char *name)
{
    size_t size = strlen(name);
    return strncmp(option, name, size) == 0 ? atoi(option + size) : 0;
}

int main(int argc, char **argv)
{
    struct tidings_error error;
    int batch = 0;
    if (argc < 5) {
        return 2;
    }
    struct tidings_options options = {.bootstrap_servers = argv[1],
                                      .name = argv[2],
                                      .exactly_once = true,
                                      .session_timeout_ms = 1000,
                                      .workers = 8,
                                      .retry_first_ms = 10,
                                      .retry_max_ms = 200,
                                      .probe_first_ms = 20,
                                      .probe_max_ms = 100,
                                      .aside_after_ms = 300};
    output = argv[4];
    for (int i = 5; i < argc; i++) {
        options.attempts += number_of(argv[i], "attempts=");
        batch += number_of(argv[i], "batch=");
        options.instance = strncmp(argv[i], "instance=", 9) == 0 ? argv[i] + 9 : options.instance;
        options.order =
            strcmp(argv[i], "order=partition") == 0 ? TIDINGS_BY_PARTITION : options.order;
        options.exactly_once = options.exactly_once && strcmp(argv[i], "plain") != 0;
    }
    enum tidings_status status = tidings_new(&options, &service, &error);
    if (status == TIDINGS_OK) {
        signal(SIGTERM, on_signal);
        status = batch > 0
                     ? tidings_on_batch(service, argv[3], NULL, (size_t)batch, many, NULL, &error)
                     : tidings_on(service, argv[3], NULL, one, NULL, &error);
    }
    if (status == TIDINGS_OK) {
        status = tidings_run(service, &error);
    }
    tidings_free(service);
    if (status != TIDINGS_OK) {
        fprintf(stderr, "%s\n", error.text);
    }
    return status == TIDINGS_OK ? 0 : 1;
}
