// The scenario through sarama.
package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"tidings/tests/clients/scenario"
)

type client struct {
	bootstrap []string
	handle    sarama.Client
	admin     sarama.ClusterAdmin
}

// sarama sends what its configured version says, whatever the server offers.
func settings() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.V2_8_0_0
	config.Metadata.Retry.Max = 10
	config.Producer.Return.Successes = true
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.MaxMessageBytes = 10_000_000
	config.Consumer.Return.Errors = true
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.Group.Session.Timeout = 6 * time.Second
	config.Consumer.Group.Heartbeat.Interval = 200 * time.Millisecond
	config.Consumer.MaxWaitTime = 100 * time.Millisecond
	return config
}

func open(bootstrap, _ string) (scenario.Client, error) {
	c := &client{bootstrap: []string{bootstrap}}
	var err error
	if c.handle, err = sarama.NewClient(c.bootstrap, settings()); err != nil {
		return nil, err
	}
	c.admin, err = sarama.NewClusterAdmin(c.bootstrap, settings())
	return c, err
}

func told(err error) error {
	if errors.Is(err, sarama.ErrProducerFenced) || errors.Is(err, sarama.ErrInvalidProducerEpoch) {
		return fmt.Errorf("%w: %w", scenario.ErrFenced, err)
	}
	var code sarama.KError
	if errors.As(err, &code) && code != sarama.ErrNoError {
		return scenario.ServerError{Code: int16(code), Text: err.Error()}
	}
	var topic *sarama.TopicError
	if errors.As(err, &topic) {
		return scenario.ServerError{Code: int16(topic.Err), Text: err.Error()}
	}
	return err
}

func (c *client) CreateTopic(topic string, partitions int, config map[string]string) error {
	entries := map[string]*string{}
	for key, value := range config {
		entries[key] = &value
	}
	return told(c.admin.CreateTopic(topic, &sarama.TopicDetail{
		NumPartitions: int32(partitions), ReplicationFactor: 1, ConfigEntries: entries}, false))
}

func (c *client) DeleteTopic(topic string) error { return told(c.admin.DeleteTopic(topic)) }

func (c *client) ListTopics() ([]string, error) {
	topics, err := c.admin.ListTopics()
	var names []string
	for name := range topics {
		names = append(names, name)
	}
	return names, err
}

func (c *client) CountPartitions(topic string) (int, error) {
	topics, err := c.admin.DescribeTopics([]string{topic})
	if err != nil {
		return 0, err
	}
	return len(topics[0].Partitions), nil
}

func (c *client) GetConfig(topic, key string) (string, error) {
	entries, err := c.admin.DescribeConfig(sarama.ConfigResource{
		Type: sarama.TopicResource, Name: topic, ConfigNames: []string{key}})
	if err != nil || len(entries) == 0 {
		return "", err
	}
	return entries[0].Value, nil
}

func (c *client) SetConfig(topic, key, value string) error {
	return told(c.admin.IncrementalAlterConfig(sarama.TopicResource, topic,
		map[string]sarama.IncrementalAlterConfigsEntry{
			key: {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value}}, false))
}

func (c *client) AddPartitions(topic string, count int) error {
	return told(c.admin.CreatePartitions(topic, int32(count), nil, false))
}

func (c *client) DeleteRecords(topic string, partition int32, before int64) error {
	return told(c.admin.DeleteRecords(topic, map[int32]int64{partition: before}))
}

func (c *client) Produce(topic string, records []scenario.Record,
	options scenario.ProduceOptions) error {
	config := settings()
	config.Producer.RequiredAcks = sarama.RequiredAcks(options.Acks)
	config.Producer.Idempotent = options.Idempotent
	if options.Idempotent {
		config.Net.MaxOpenRequests = 1
	}
	config.Producer.Compression = map[string]sarama.CompressionCodec{
		"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP,
		"snappy": sarama.CompressionSnappy, "lz4": sarama.CompressionLZ4,
		"zstd": sarama.CompressionZSTD}[options.Codec]
	producer, err := sarama.NewSyncProducer(c.bootstrap, config)
	if err != nil {
		return err
	}
	defer producer.Close()
	var messages []*sarama.ProducerMessage
	for _, one := range records {
		message := &sarama.ProducerMessage{Topic: topic, Partition: one.Partition}
		if one.Key != nil {
			message.Key = sarama.ByteEncoder(one.Key)
		}
		if one.Value != nil {
			message.Value = sarama.ByteEncoder(one.Value)
		}
		for _, header := range one.Headers {
			message.Headers = append(message.Headers,
				sarama.RecordHeader{Key: []byte(header.Key), Value: []byte(header.Value)})
		}
		if one.TimestampMs != 0 {
			message.Timestamp = time.UnixMilli(one.TimestampMs)
		}
		messages = append(messages, message)
	}
	err = producer.SendMessages(messages)
	var all sarama.ProducerErrors
	if errors.As(err, &all) && len(all) > 0 {
		return told(all[0].Err)
	}
	return told(err)
}

func (c *client) Offsets(topic string, partition int32) (int64, int64, error) {
	if err := c.handle.RefreshMetadata(topic); err != nil {
		return 0, 0, told(err)
	}
	earliest, err := c.handle.GetOffset(topic, partition, sarama.OffsetOldest)
	if err != nil {
		return 0, 0, told(err)
	}
	latest, err := c.handle.GetOffset(topic, partition, sarama.OffsetNewest)
	return earliest, latest, told(err)
}

func (c *client) OffsetAt(topic string, partition int32, timeMs int64) (int64, error) {
	offset, err := c.handle.GetOffset(topic, partition, timeMs)
	return offset, told(err)
}

func asRecord(one *sarama.ConsumerMessage) scenario.Record {
	record := scenario.Record{Partition: one.Partition, Offset: one.Offset, Key: one.Key,
		Value: one.Value, TimestampMs: one.Timestamp.UnixMilli()}
	for _, header := range one.Headers {
		record.Headers = append(record.Headers,
			scenario.Header{Key: string(header.Key), Value: string(header.Value)})
	}
	return record
}

func (c *client) Read(topic string, partition int32, start int64,
	count int) ([]scenario.Record, error) {
	return c.read(topic, partition, start, count, sarama.ReadUncommitted)
}

func (c *client) read(topic string, partition int32, start int64, count int,
	level sarama.IsolationLevel) ([]scenario.Record, error) {
	config := settings()
	config.Consumer.IsolationLevel = level
	consumer, err := sarama.NewConsumer(c.bootstrap, config)
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	reading, err := consumer.ConsumePartition(topic, partition, start)
	if err != nil {
		return nil, told(err)
	}
	defer reading.AsyncClose()
	var records []scenario.Record
	for late := time.After(scenario.Wait); len(records) < count; {
		select {
		case message := <-reading.Messages():
			records = append(records, asRecord(message))
		case err := <-reading.Errors():
			return nil, told(err.Err)
		case <-late:
			return nil, fmt.Errorf("read %d of %d", len(records), count)
		}
	}
	return records, nil
}

type member struct {
	group   sarama.ConsumerGroup
	cancel  context.CancelFunc
	ended   sync.WaitGroup
	lock    sync.Mutex
	session sarama.ConsumerGroupSession
	records []scenario.Record
}

func (c *client) Member(group, topic string) (scenario.Member, error) {
	handle, err := sarama.NewConsumerGroup(c.bootstrap, group, settings())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{group: handle, cancel: cancel}
	m.ended.Add(2)
	go func() {
		defer m.ended.Done()
		for range handle.Errors() {
		}
	}()
	go func() {
		defer m.ended.Done()
		for ctx.Err() == nil {
			if err := handle.Consume(ctx, []string{topic}, m); err != nil {
				time.Sleep(50 * time.Millisecond)
			}
		}
	}()
	return m, nil
}

func (m *member) Setup(session sarama.ConsumerGroupSession) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.session = session
	return nil
}

func (m *member) Cleanup(sarama.ConsumerGroupSession) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.session = nil
	return nil
}

func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession,
	claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, more := <-claim.Messages():
			if !more {
				return nil
			}
			m.lock.Lock()
			m.records = append(m.records, asRecord(message))
			m.lock.Unlock()
		case <-session.Context().Done():
			return nil
		}
	}
}

func (m *member) Poll() []scenario.Record {
	time.Sleep(10 * time.Millisecond)
	m.lock.Lock()
	defer m.lock.Unlock()
	records := m.records
	m.records = nil
	return records
}

func (m *member) Assignment() []int32 {
	m.lock.Lock()
	defer m.lock.Unlock()
	if m.session == nil {
		return nil
	}
	for _, partitions := range m.session.Claims() {
		return partitions
	}
	return nil
}

func (m *member) Commit(topic string, partition int32, offset int64) error {
	m.lock.Lock()
	session := m.session
	m.lock.Unlock()
	if session == nil {
		return errors.New("not in the group at the moment")
	}
	session.MarkOffset(topic, partition, offset, "by the scenario")
	session.Commit()
	return nil
}

func (m *member) Close() {
	m.cancel()
	m.group.Close()
	m.ended.Wait()
}

func (c *client) ListGroups() ([]string, error) {
	groups, err := c.admin.ListConsumerGroups()
	var names []string
	for name := range groups {
		names = append(names, name)
	}
	return names, told(err)
}

func (c *client) GroupState(group string) (string, error) {
	groups, err := c.admin.DescribeConsumerGroups([]string{group})
	if err != nil {
		return "", told(err)
	}
	return groups[0].State, nil
}

func (c *client) GroupOffset(group, topic string, partition int32) (int64, error) {
	answer, err := c.admin.ListConsumerGroupOffsets(group, map[string][]int32{topic: {partition}})
	if err != nil {
		return 0, told(err)
	}
	return answer.GetBlock(topic, partition).Offset, nil
}

func (c *client) DeleteGroup(group string) error {
	return told(c.admin.DeleteConsumerGroup(group))
}

func main() { scenario.Main("sarama", open) }
