// Reads logs from many of their offsets on; see ../../walk/walk.py. walk CLIENT HOST:PORT WALKS
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	wait      = 20 * time.Second
	fetchWait = 100 * time.Millisecond
)

type walk struct {
	Log       string    `json:"log"`
	Topic     string    `json:"topic"`
	Committed bool      `json:"committed"`
	MaxBytes  int32     `json:"max_bytes"`
	Reads     [][]int64 `json:"reads"`
}

// A reader gives the next offsets from a start on, fewer when no more come in time.
type reader func(start int64, count int) ([]int64, error)

func franz(bootstrap string, w walk) (reader, func(), error) {
	level := kgo.ReadUncommitted()
	if w.Committed {
		level = kgo.ReadCommitted()
	}
	read := func(start int64, count int) (offsets []int64, err error) {
		client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.FetchIsolationLevel(level),
			kgo.FetchMaxPartitionBytes(w.MaxBytes), kgo.FetchMaxWait(fetchWait),
			kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
				w.Topic: {0: kgo.NewOffset().At(start)}}))
		if err != nil {
			return nil, err
		}
		defer client.Close()
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		defer cancel()
		for len(offsets) < count && ctx.Err() == nil {
			fetches := client.PollFetches(ctx)
			if err := fetches.Err(); err != nil {
				return offsets, err
			}
			fetches.EachRecord(func(one *kgo.Record) { offsets = append(offsets, one.Offset) })
		}
		return offsets, nil
	}
	return read, func() {}, nil
}

func saramas(bootstrap string, w walk) (reader, func(), error) {
	config := sarama.NewConfig()
	config.Version = sarama.V2_8_0_0
	config.Consumer.Return.Errors = true
	config.Consumer.MaxWaitTime = fetchWait
	config.Consumer.Fetch.Default = w.MaxBytes
	if w.Committed {
		config.Consumer.IsolationLevel = sarama.ReadCommitted
	}
	consumer, err := sarama.NewConsumer([]string{bootstrap}, config)
	if err != nil {
		return nil, nil, err
	}
	read := func(start int64, count int) (offsets []int64, err error) {
		reading, err := consumer.ConsumePartition(w.Topic, 0, start)
		if err != nil {
			return nil, err
		}
		defer reading.Close()
		for late := time.After(wait); len(offsets) < count; {
			select {
			case message := <-reading.Messages():
				offsets = append(offsets, message.Offset)
			case err := <-reading.Errors():
				return offsets, err
			case <-late:
				return offsets, nil
			}
		}
		return offsets, nil
	}
	return read, func() { consumer.Close() }, nil
}

func segmentio(bootstrap string, w walk) (reader, func(), error) {
	level := kafka.ReadUncommitted
	if w.Committed {
		level = kafka.ReadCommitted
	}
	handle := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{bootstrap}, Topic: w.Topic,
		MinBytes: 1, MaxBytes: int(w.MaxBytes), MaxWait: fetchWait, IsolationLevel: level})
	read := func(start int64, count int) (offsets []int64, err error) {
		if err := handle.SetOffset(start); err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		defer cancel()
		for len(offsets) < count {
			message, err := handle.FetchMessage(ctx)
			if err != nil {
				return offsets, err
			}
			offsets = append(offsets, message.Offset)
		}
		return offsets, nil
	}
	return read, func() { handle.Close() }, nil
}

var clients = map[string]func(string, walk) (reader, func(), error){
	"franz-go": franz, "sarama": saramas, "kafka-go": segmentio}

// What a client does wrong with a log, whatever the server.
func wrong(client, topic string) string {
	switch {
	case client != "kafka-go":
		return ""
	case topic == "producers":
		return "two empty batches in a row make it panic (its issue 874)"
	case strings.HasPrefix(topic, "txn"):
		return "it takes markers for records"
	}
	return ""
}

func do(client, bootstrap string, w walk) error {
	read, end, err := clients[client](bootstrap, w)
	if err != nil {
		return err
	}
	defer end()
	for _, one := range w.Reads {
		start, due := one[0], one[1:]
		got, err := read(start, len(due))
		got = got[:min(len(got), len(due))]
		if err != nil || !slices.Equal(got, due) {
			return fmt.Errorf("from %d on it got %v, not %v (%v)", start, got, due, err)
		}
	}
	return nil
}

// What is told of one log.
func line(client, bootstrap string, w walk) string {
	if why := wrong(client, w.Topic); why != "" {
		return fmt.Sprintf("skip %s %s: %s, on Apache Kafka as well", client, w.Log, why)
	}
	if err := do(client, bootstrap, w); err != nil {
		why := strings.Join(strings.Fields(err.Error()), " ")
		return fmt.Sprintf("not ok %s %s: %s", client, w.Log, why)
	}
	return fmt.Sprintf("ok %s %s", client, w.Log)
}

func main() {
	var walks []walk
	text, err := os.ReadFile(os.Args[3])
	if err == nil {
		err = json.Unmarshal(text, &walks)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var all sync.WaitGroup
	for _, w := range walks {
		all.Add(1)
		go func(w walk) {
			defer all.Done()
			fmt.Println(line(os.Args[1], os.Args[2], w))
		}(w)
	}
	all.Wait()
}
