// usage: echo_rdkafkacpp ADDRESS NAME IN OUT: the C++ library of librdkafka as a service that knows nothing of Tidings.
#include <librdkafka/rdkafkacpp.h>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>

static RdKafka::Conf *conf_of(char **arguments)
{
    RdKafka::Conf *conf = RdKafka::Conf::create(RdKafka::Conf::CONF_GLOBAL);
    const std::string pairs[][2] = {{"bootstrap.servers", arguments[1]}, {"client.id", arguments[2]},
                                    {"group.id", arguments[2]},          {"auto.offset.reset", "earliest"},
                                    {"auto.commit.interval.ms", "200"}};
    std::string text;
    for (const auto &pair : pairs) {
        if (conf->set(pair[0], pair[1], text) != RdKafka::Conf::CONF_OK) {
            std::cerr << text << "\n";
            std::exit(1);
        }
    }
    return conf;
}

int main(int argc, char **argv)
{
    std::string text;
    if (argc != 5) {
        return 2;
    }
    std::unique_ptr<RdKafka::KafkaConsumer> reader(RdKafka::KafkaConsumer::create(conf_of(argv), text));
    std::unique_ptr<RdKafka::Producer> writer(RdKafka::Producer::create(conf_of(argv), text));
    if (!reader || !writer || reader->subscribe({argv[3]}) != RdKafka::ERR_NO_ERROR) {
        std::cerr << text << "\n";
        return 1;
    }
    for (;;) {
        std::unique_ptr<RdKafka::Message> message(reader->consume(100));
        if (message->err() == RdKafka::ERR_NO_ERROR) {
            writer->produce(argv[4], RdKafka::Topic::PARTITION_UA, RdKafka::Producer::RK_MSG_COPY, message->payload(),
                            message->len(), nullptr, 0, 0, nullptr);
        }
        writer->poll(0);
    }
}
