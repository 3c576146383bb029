// The scenario through franz-go.
package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"tidings/tests/clients/scenario"
)

type client struct {
	bootstrap string
	kgo       *kgo.Client
	admin     *kadm.Client
}

func open(bootstrap, _ string) (scenario.Client, error) {
	handle, err := kgo.NewClient(kgo.SeedBrokers(bootstrap))
	return &client{bootstrap, handle, kadm.NewClient(handle)}, err
}

func inTime() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), scenario.Wait)
	time.AfterFunc(scenario.Wait, cancel)
	return ctx
}

func told(err error) error {
	if errors.Is(err, kerr.ProducerFenced) || errors.Is(err, kerr.InvalidProducerEpoch) {
		return fmt.Errorf("%w: %w", scenario.ErrFenced, err)
	}
	var code *kerr.Error
	if errors.As(err, &code) {
		return scenario.ServerError{Code: code.Code, Text: err.Error()}
	}
	return err
}

func (c *client) CreateTopic(topic string, partitions int, config map[string]string) error {
	settings := map[string]*string{}
	for key, value := range config {
		settings[key] = kadm.StringPtr(value)
	}
	_, err := c.admin.CreateTopic(inTime(), int32(partitions), 1, settings, topic)
	return told(err)
}

func (c *client) DeleteTopic(topic string) error {
	answer, err := c.admin.DeleteTopic(inTime(), topic)
	return told(errors.Join(err, answer.Err))
}

func (c *client) ListTopics() ([]string, error) {
	topics, err := c.admin.ListTopics(inTime())
	return topics.Names(), err
}

func (c *client) CountPartitions(topic string) (int, error) {
	topics, err := c.admin.ListTopics(inTime(), topic)
	return len(topics[topic].Partitions), err
}

func (c *client) GetConfig(topic, key string) (string, error) {
	answers, err := c.admin.DescribeTopicConfigs(inTime(), topic)
	if err != nil {
		return "", err
	}
	answer, err := answers.On(topic, nil)
	for _, config := range answer.Configs {
		if config.Key == key {
			return config.MaybeValue(), nil
		}
	}
	return "", err
}

func (c *client) SetConfig(topic, key, value string) error {
	answers, err := c.admin.AlterTopicConfigs(inTime(),
		[]kadm.AlterConfig{{Op: kadm.SetConfig, Name: key, Value: &value}}, topic)
	if err != nil {
		return err
	}
	answer, err := answers.On(topic, nil)
	return told(errors.Join(err, answer.Err))
}

func (c *client) AddPartitions(topic string, count int) error {
	answers, err := c.admin.UpdatePartitions(inTime(), count, topic)
	if err != nil {
		return err
	}
	return told(answers.Error())
}

func (c *client) DeleteRecords(topic string, partition int32, before int64) error {
	offsets := kadm.Offsets{}
	offsets.AddOffset(topic, partition, before, -1)
	answers, err := c.admin.DeleteRecords(inTime(), offsets)
	if err != nil {
		return err
	}
	return told(answers.Error())
}

func (c *client) Produce(topic string, records []scenario.Record,
	options scenario.ProduceOptions) error {
	codec := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(),
		"zstd": kgo.ZstdCompression(),
	}[options.Codec]
	acks := map[int]kgo.Acks{-1: kgo.AllISRAcks(), 0: kgo.NoAck(), 1: kgo.LeaderAck()}[options.Acks]
	settings := []kgo.Opt{kgo.SeedBrokers(c.bootstrap), kgo.ProducerBatchCompression(codec),
		kgo.RequiredAcks(acks), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchMaxBytes(10_000_000), kgo.AllowAutoTopicCreation()}
	if !options.Idempotent {
		settings = append(settings, kgo.DisableIdempotentWrite())
	}
	producer, err := kgo.NewClient(settings...)
	if err != nil {
		return err
	}
	defer producer.Close()
	var sent []*kgo.Record
	for _, one := range records {
		record := &kgo.Record{Topic: topic, Partition: one.Partition, Key: one.Key, Value: one.Value}
		for _, header := range one.Headers {
			record.Headers = append(record.Headers,
				kgo.RecordHeader{Key: header.Key, Value: []byte(header.Value)})
		}
		if one.TimestampMs != 0 {
			record.Timestamp = time.UnixMilli(one.TimestampMs)
		}
		sent = append(sent, record)
	}
	return told(producer.ProduceSync(inTime(), sent...).FirstErr())
}

func (c *client) listed(answers kadm.ListedOffsets, err error, topic string,
	partition int32) (int64, error) {
	if err != nil {
		return 0, err
	}
	one, _ := answers.Lookup(topic, partition)
	return one.Offset, told(one.Err)
}

func (c *client) Offsets(topic string, partition int32) (int64, int64, error) {
	answers, err := c.admin.ListStartOffsets(inTime(), topic)
	earliest, err := c.listed(answers, err, topic, partition)
	if err != nil {
		return 0, 0, err
	}
	answers, err = c.admin.ListEndOffsets(inTime(), topic)
	latest, err := c.listed(answers, err, topic, partition)
	return earliest, latest, err
}

func (c *client) OffsetAt(topic string, partition int32, timeMs int64) (int64, error) {
	answers, err := c.admin.ListOffsetsAfterMilli(inTime(), timeMs, topic)
	return c.listed(answers, err, topic, partition)
}

func take(fetches kgo.Fetches) []scenario.Record {
	var records []scenario.Record
	fetches.EachRecord(func(one *kgo.Record) {
		record := scenario.Record{Partition: one.Partition, Offset: one.Offset, Key: one.Key,
			Value: one.Value, TimestampMs: one.Timestamp.UnixMilli()}
		for _, header := range one.Headers {
			record.Headers = append(record.Headers,
				scenario.Header{Key: header.Key, Value: string(header.Value)})
		}
		records = append(records, record)
	})
	return records
}

func (c *client) Read(topic string, partition int32, start int64,
	count int) ([]scenario.Record, error) {
	return c.read(topic, partition, start, count, kgo.ReadUncommitted())
}

func (c *client) read(topic string, partition int32, start int64, count int,
	level kgo.IsolationLevel) ([]scenario.Record, error) {
	consumer, err := kgo.NewClient(kgo.SeedBrokers(c.bootstrap), kgo.FetchIsolationLevel(level),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
			topic: {partition: kgo.NewOffset().At(start)}}))
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	var records []scenario.Record
	for ctx := inTime(); len(records) < count; {
		fetches := consumer.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, told(err)
		}
		records = append(records, take(fetches)...)
	}
	return records[:count], nil
}

type member struct {
	kgo   *kgo.Client
	admin *kadm.Client
	group string
	lock  sync.Mutex
	owned map[int32]bool
}

func (c *client) Member(group, topic string) (scenario.Member, error) {
	m := &member{group: group, admin: c.admin, owned: map[int32]bool{}}
	change := func(owns bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
			m.lock.Lock()
			defer m.lock.Unlock()
			for _, partition := range partitions[topic] {
				if owns {
					m.owned[partition] = true
				} else {
					delete(m.owned, partition)
				}
			}
		}
	}
	var err error
	m.kgo, err = kgo.NewClient(kgo.SeedBrokers(c.bootstrap), kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(), kgo.SessionTimeout(6*time.Second),
		kgo.HeartbeatInterval(200*time.Millisecond), kgo.OnPartitionsAssigned(change(true)),
		kgo.OnPartitionsRevoked(change(false)), kgo.OnPartitionsLost(change(false)),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	return m, err
}

func (m *member) Poll() []scenario.Record {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	return take(m.kgo.PollFetches(ctx))
}

func (m *member) Assignment() []int32 {
	m.lock.Lock()
	defer m.lock.Unlock()
	var owned []int32
	for partition := range m.owned {
		owned = append(owned, partition)
	}
	return owned
}

func (m *member) Commit(topic string, partition int32, offset int64) error {
	record := &kgo.Record{Topic: topic, Partition: partition, Offset: offset - 1, LeaderEpoch: -1}
	return told(m.kgo.CommitRecords(inTime(), record))
}

func (m *member) Close() { m.kgo.Close() }

func (c *client) ListGroups() ([]string, error) {
	groups, err := c.admin.ListGroups(inTime())
	return groups.Groups(), err
}

func (c *client) GroupState(group string) (string, error) {
	groups, err := c.admin.DescribeGroups(inTime(), group)
	return groups[group].State, err
}

func (c *client) GroupOffset(group, topic string, partition int32) (int64, error) {
	answers, err := c.admin.FetchOffsets(inTime(), group)
	if err != nil {
		return 0, err
	}
	answer, _ := answers.Lookup(topic, partition)
	return answer.At, told(answer.Err)
}

func (c *client) DeleteGroup(group string) error {
	answer, err := c.admin.DeleteGroup(inTime(), group)
	return told(errors.Join(err, answer.Err))
}

func main() { scenario.Main("franz-go", open) }
