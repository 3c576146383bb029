#include "cli/bus/outcomes.h"

#include "cli/base/output.h"

#include <stdio.h>

static int tell(const struct outcome_words *words, const struct admin_outcome *outcome,
                struct report *report)
{
    enum client_status status = outcome->error.status;
    bool is_forgiven = words->is_forgiving && status == words->forgiven;
    if (status == CLIENT_NOT_FOUND && !is_forgiven) {
        return words->fail_unknown(outcome->name);
    }
    if (status != CLIENT_OK && !is_forgiven) {
        return bus_fail(&outcome->error, "%s %s '%s'", words->verb, words->kind, outcome->name);
    }
    json_array_append_new(report->items,
                          json_pack("{s:o,s:b}", words->json_name, output_json_text(outcome->name),
                                    words->done, !is_forgiven));
    if (!report->is_json && is_forgiven) {
        output_text(stdout, "%s %s %s\n", words->kind, outcome->name, words->forgiven_text);
    } else if (!report->is_json) {
        output_text(stdout, "%s %s %s\n", words->done, words->kind, outcome->name);
    }
    return EXIT_OK;
}

int outcomes_tell(const struct outcome_words *words, const struct text_list *names, bool is_json,
                  enum client_status status, const struct client_error *error,
                  struct admin_outcomes *outcomes)
{
    int code;
    if (status != CLIENT_OK) {
        code = bus_fail(error, "%s %s '%s'%s", words->verb, words->kind, names->items[0],
                        names->count > 1 ? " and others" : "");
    } else {
        struct report report = report_new(is_json);
        for (size_t i = 0; i < outcomes->count; i++) {
            report_note(&report, tell(words, &outcomes->items[i], &report));
        }
        code = output_finish(report_finish(&report));
    }
    admin_outcomes_deinit(outcomes);
    return code;
}

int outcomes_of_delete(const struct outcome_words *words, const struct bus_options *bus,
                       const struct text_list *names, outcomes_delete *delete_all)
{
    struct connection *connection;
    struct admin_outcomes outcomes;
    struct client_error error;
    int code = bus_open(bus, &connection);
    if (code == EXIT_OK) {
        enum client_status status =
            delete_all(connection, names->items, names->count, &outcomes, &error);
        code = outcomes_tell(words, names, bus->is_json, status, &error, &outcomes);
        connection_close(connection);
    }
    return code;
}
