package main

import (
	"github.com/IBM/sarama"

	"tidings/tests/clients/scenario"
)

func (c *client) ReadIsolated(topic string, count int, committed bool) ([]scenario.Record, error) {
	level := sarama.ReadUncommitted
	if committed {
		level = sarama.ReadCommitted
	}
	return c.read(topic, 0, 0, count, level)
}

type transactional struct{ sarama.SyncProducer }

func (c *client) Transactions(id string) (scenario.Transactional, error) {
	config := settings()
	config.Producer.Idempotent = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Transaction.ID = id
	config.Net.MaxOpenRequests = 1
	var producer sarama.SyncProducer
	err := scenario.WhileConcurrent(func() (err error) {
		producer, err = sarama.NewSyncProducer(c.bootstrap, config)
		return told(err)
	})
	return transactional{producer}, err
}

func (t transactional) Begin() error { return told(t.BeginTxn()) }

func (t transactional) Send(topic string, keys []string) error {
	var messages []*sarama.ProducerMessage
	for _, key := range keys {
		messages = append(messages, &sarama.ProducerMessage{Topic: topic,
			Key: sarama.StringEncoder(key), Value: sarama.StringEncoder("v")})
	}
	return told(t.SendMessages(messages))
}

func (t transactional) End(commit bool) error {
	if commit {
		return told(t.CommitTxn())
	}
	return told(t.AbortTxn())
}

func (t transactional) Close() { t.SyncProducer.Close() }

func (c *client) Transform(what scenario.Transform) (int64, error) {
	consumer, err := c.Member(what.Group, what.Topic)
	if err != nil {
		return 0, err
	}
	defer consumer.Close()
	got, from, err := scenario.TakeFrom(consumer, what.Count)
	if err != nil {
		return 0, err
	}
	producer, err := c.Transactions(what.ID)
	if err != nil {
		return 0, err
	}
	defer producer.Close()
	if err := producer.Begin(); err != nil {
		return 0, err
	}
	if err := producer.Send(what.Into, scenario.KeysOf(got)); err != nil {
		return 0, err
	}
	offsets := map[string][]*sarama.PartitionOffsetMetadata{
		what.Topic: {{Partition: 0, Offset: from + int64(what.Count)}}}
	if err := producer.(transactional).AddOffsetsToTxn(offsets, what.Group); err != nil {
		return 0, told(err)
	}
	return from, producer.End(what.Commit)
}
