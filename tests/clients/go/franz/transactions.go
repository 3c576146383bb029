package main

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tidings/tests/clients/scenario"
)

func (c *client) ReadIsolated(topic string, count int, committed bool) ([]scenario.Record, error) {
	level := kgo.ReadUncommitted()
	if committed {
		level = kgo.ReadCommitted()
	}
	return c.read(topic, 0, 0, count, level)
}

func recordsOf(topic string, keys []string) []*kgo.Record {
	var records []*kgo.Record
	for _, key := range keys {
		records = append(records, &kgo.Record{Topic: topic, Key: []byte(key), Value: []byte("v")})
	}
	return records
}

type transactional struct{ kgo *kgo.Client }

func (c *client) Transactions(id string) (scenario.Transactional, error) {
	handle, err := kgo.NewClient(kgo.SeedBrokers(c.bootstrap), kgo.TransactionalID(id),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return nil, err
	}
	err = scenario.WhileConcurrent(func() error { // lazy otherwise: the fence would come late
		_, _, err := handle.ProducerID(inTime())
		return told(err)
	})
	return &transactional{handle}, err
}

func (t *transactional) Begin() error { return told(t.kgo.BeginTransaction()) }

func (t *transactional) Send(topic string, keys []string) error {
	return told(t.kgo.ProduceSync(inTime(), recordsOf(topic, keys)...).FirstErr())
}

func (t *transactional) End(commit bool) error {
	return told(t.kgo.EndTransaction(inTime(), kgo.TransactionEndTry(commit)))
}

func (t *transactional) Close() { t.kgo.Close() }

// Transform is what franz-go has a session for, consumer and producer in one.
func (c *client) Transform(what scenario.Transform) (int64, error) {
	session, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(c.bootstrap),
		kgo.TransactionalID(what.ID), kgo.ConsumerGroup(what.Group), kgo.ConsumeTopics(what.Topic),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.SessionTimeout(6*time.Second),
		kgo.HeartbeatInterval(200*time.Millisecond), kgo.RequireStableFetchOffsets(),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return 0, err
	}
	defer session.Close()
	err = scenario.WhileConcurrent(func() error { return told(session.Begin()) })
	if err != nil {
		return 0, err
	}
	var got []scenario.Record
	for ctx := inTime(); len(got) < what.Count; {
		fetches := session.PollRecords(ctx, what.Count-len(got))
		if err := fetches.Err(); err != nil {
			return 0, told(err)
		}
		got = append(got, take(fetches)...)
	}
	sent := recordsOf(what.Into, scenario.KeysOf(got))
	if err := session.ProduceSync(inTime(), sent...).FirstErr(); err != nil {
		return 0, told(err)
	}
	committed, err := session.End(inTime(), kgo.TransactionEndTry(what.Commit))
	if err == nil && committed != what.Commit {
		err = fmt.Errorf("committed: %t", committed)
	}
	return got[0].Offset, told(err)
}
