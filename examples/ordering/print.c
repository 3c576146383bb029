/*
 * A service that prints events. It cannot print "broken" ones, unless it is started as "mended".
 *
 * usage: print TOPIC [mended]
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <tidings.h>

static struct tidings *service;

static void stop(int signal_number)
{
    (void)signal_number;
    tidings_stop(service); /* with what is in hand done, and its place in the group given up */
}

static enum tidings_verdict print(struct tidings *shop, const struct tidings_event *event,
                                  void *mended)
{
    (void)shop;
    if (mended == NULL && event->data != NULL && strcmp(event->data, "broken") == 0) {
        return tidings_reject(event, "printer", "it is broken");
    }
    printf("%s: %s\n", event->key != NULL ? event->key : "-",
           event->data != NULL ? (const char *)event->data : "-");
    fflush(stdout);
    return TIDINGS_DONE;
}

int main(int argc, char **argv)
{
    struct tidings_error error = {.text = ""};
    struct tidings_options options = {.name = "print"};
    void *mended = argc > 2 ? argv[2] : NULL;
    if (argc < 2) {
        return 2;
    }
    enum tidings_status status = tidings_new(&options, &service, &error);
    if (status == TIDINGS_OK) {
        signal(SIGTERM, stop);
        status = tidings_on(service, argv[1], NULL, print, mended, &error);
    }
    if (status == TIDINGS_OK) {
        status = tidings_run(service, &error);
    }
    if (status != TIDINGS_OK) {
        fprintf(stderr, "print: %s\n", error.text);
    }
    tidings_free(service);
    return status == TIDINGS_OK ? 0 : 1;
}
