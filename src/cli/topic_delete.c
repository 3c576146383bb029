#include "cli/topic.h"

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/output.h"

#include <stdio.h>
#include <stdlib.h>

struct delete_options {
    struct client_options client;
    struct text_list topics;
    bool if_exists;
};

static const struct help_page page = {
    .name = "tidings topic delete",
    .usage = "TOPIC... [OPTIONS]",
    .about = "Deletes topics with all their events. It does not ask; there is no way back.",
    .examples = "  tidings topic delete orders\n"
                "  tidings topic delete scratch --if-exists\n",
};

static const struct option_spec specs[] = {
    {'t', "topic", "TOPIC", OPTION_TEXTS, offsetof(struct delete_options, topics), 0, 0,
     "a topic, like an argument (repeat it)"},
    {0, "if-exists", NULL, OPTION_FLAG, offsetof(struct delete_options, if_exists), 0, 0,
     "a topic that does not exist is no error"},
};

static int conclude(struct client *client, const struct delete_options *options,
                    const rd_kafka_topic_result_t *result, struct report *report)
{
    const char *name = rd_kafka_topic_result_name(result);
    rd_kafka_resp_err_t err = rd_kafka_topic_result_error(result);
    bool is_absent = err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART && options->if_exists;
    if (err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART && !is_absent) {
        return cli_fail(EXIT_NOT_FOUND, "see the topics with: tidings topic list",
                        "topic '%s' does not exist", name);
    }
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR && !is_absent) {
        return bus_fail(client, err, rd_kafka_topic_result_error_string(result),
                        "delete topic '%s'", name);
    }
    json_array_append_new(report->items,
                          json_pack("{s:s,s:b}", "name", name, "deleted", !is_absent));
    if (!report->is_json) {
        printf(is_absent ? "topic %s did not exist\n" : "deleted topic %s\n", name);
    }
    return EXIT_OK;
}

static int delete_topics(struct client *client, const struct delete_options *options,
                         rd_kafka_DeleteTopic_t **topics, size_t count)
{
    struct admin_request request = client_admin_begin(client, RD_KAFKA_ADMIN_OP_DELETETOPICS);
    rd_kafka_event_t *event;
    rd_kafka_DeleteTopics(client->rk, topics, count, request.options, request.queue);
    int code = client_admin_finish(client, &request, &event, "delete topic '%s'%s",
                                   options->topics.items[0], count > 1 ? " and others" : "");
    if (code != EXIT_OK) {
        return code;
    }
    struct report report = report_new(options->client.is_json);
    size_t result_count;
    const rd_kafka_topic_result_t **results = rd_kafka_DeleteTopics_result_topics(
        rd_kafka_event_DeleteTopics_result(event), &result_count);
    for (size_t i = 0; i < result_count; i++) {
        report_note(&report, conclude(client, options, results[i], &report));
    }
    rd_kafka_event_destroy(event);
    return report_finish(&report);
}

static int run(const struct delete_options *options)
{
    struct client *client;
    int code = client_open_admin(&options->client, &client);
    if (code != EXIT_OK) {
        return code;
    }
    size_t count = options->topics.count;
    rd_kafka_DeleteTopic_t **topics = mem_new_array(rd_kafka_DeleteTopic_t *, count);
    for (size_t i = 0; i < count; i++) {
        topics[i] = rd_kafka_DeleteTopic_new(options->topics.items[i]);
    }
    code = output_finish(delete_topics(client, options, topics, count));
    rd_kafka_DeleteTopic_destroy_array(topics, count);
    free(topics);
    client_close(client);
    return code;
}

int cli_topic_delete(int argc, char **argv)
{
    struct delete_options options = {.client = client_options_default()};
    struct option_set sets[] = {{"Options", specs, sizeof specs / sizeof specs[0], &options},
                                client_option_set(&options.client)};
    int code;
    if (options_parse(&page, sets, 2, argc, argv, &options.topics, &code)) {
        code = options.topics.count == 0
                   ? options_fail(&page, "delete which topic? Usage: tidings topic delete TOPIC")
                   : run(&options);
    }
    options_deinit(sets, 2);
    return code;
}
