// Clients of Go as services that know nothing of Tidings. usage: names CLIENT ADDRESS NAME IN OUT
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/IBM/sarama"
	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func franz(address, name, source, target string) {
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.ClientID(name), kgo.ConsumerGroup(name),
		kgo.ConsumeTopics(source), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.AutoCommitInterval(200*time.Millisecond), kgo.AllowAutoTopicCreation())
	check(err)
	for {
		client.PollFetches(context.Background()).EachRecord(func(event *kgo.Record) {
			check(client.ProduceSync(context.Background(), &kgo.Record{Topic: target, Value: event.Value}).FirstErr())
		})
	}
}

type echo struct {
	writer sarama.SyncProducer
	target string
}

func (e echo) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (e echo) Cleanup(sarama.ConsumerGroupSession) error { return nil }
func (e echo) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for event := range claim.Messages() {
		_, _, err := e.writer.SendMessage(&sarama.ProducerMessage{Topic: e.target, Value: sarama.ByteEncoder(event.Value)})
		check(err)
		session.MarkMessage(event, "")
	}
	return nil
}

func saramas(address, name, source, target string) {
	config := sarama.NewConfig()
	config.ClientID = name
	config.Version = sarama.V2_8_0_0
	config.Producer.Return.Successes = true
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Interval = 200 * time.Millisecond
	writer, err := sarama.NewSyncProducer([]string{address}, config)
	check(err)
	reader, err := sarama.NewConsumerGroup([]string{address}, name, config)
	check(err)
	for {
		check(reader.Consume(context.Background(), []string{source}, echo{writer, target}))
	}
}

func segmentio(address, name, source, target string) {
	writer := &kafka.Writer{Addr: kafka.TCP(address), Topic: target, BatchTimeout: 10 * time.Millisecond,
		Transport: &kafka.Transport{ClientID: name}}
	reader := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{address}, GroupID: name, Topic: source,
		StartOffset: kafka.FirstOffset, Dialer: &kafka.Dialer{ClientID: name, Timeout: 10 * time.Second}})
	for {
		event, err := reader.ReadMessage(context.Background())
		check(err)
		check(writer.WriteMessages(context.Background(), kafka.Message{Value: event.Value}))
	}
}

func main() {
	clients := map[string]func(address, name, source, target string){
		"franz-go": franz, "sarama": saramas, "kafka-go": segmentio}
	clients[os.Args[1]](os.Args[2], os.Args[3], os.Args[4], os.Args[5])
}
