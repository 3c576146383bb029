/* usage: echo_librdkafka ADDRESS NAME IN OUT: librdkafka as a service that knows nothing of
 * Tidings. */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>

static rd_kafka_conf_t *conf_of(char **arguments)
{
    const char *const pairs[][2] = {{"bootstrap.servers", arguments[1]},
                                    {"client.id", arguments[2]},
                                    {"group.id", arguments[2]},
                                    {"auto.offset.reset", "earliest"},
                                    {"auto.commit.interval.ms", "200"}};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char text[200];
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (rd_kafka_conf_set(conf, pairs[i][0], pairs[i][1], text, sizeof text) !=
            RD_KAFKA_CONF_OK) {
            fprintf(stderr, "%s\n", text);
            exit(1);
        }
    }
    return conf;
}

int main(int argc, char **argv)
{
    char text[200];
    if (argc != 5) {
        return 2;
    }
    rd_kafka_t *reader = rd_kafka_new(RD_KAFKA_CONSUMER, conf_of(argv), text, sizeof text);
    rd_kafka_t *writer = rd_kafka_new(RD_KAFKA_PRODUCER, conf_of(argv), text, sizeof text);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, argv[3], RD_KAFKA_PARTITION_UA);
    if (reader == NULL || writer == NULL || rd_kafka_subscribe(reader, topics) != 0) {
        fprintf(stderr, "%s\n", text);
        return 1;
    }
    for (;;) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(reader, 100);
        if (message != NULL && message->err == 0) {
            rd_kafka_producev(writer, RD_KAFKA_V_TOPIC(argv[4]),
                              RD_KAFKA_V_VALUE(message->payload, message->len),
                              RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
        }
        if (message != NULL) {
            rd_kafka_message_destroy(message);
        }
        rd_kafka_poll(writer, 0);
    }
}
