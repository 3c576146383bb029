// A service on franz-go for tests/bus/test_truth.py (tests/bus/foreign/README.md): it commits each event, and its ids follow
// from those of the causes.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

var counts = [16]int{0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 2, 2}

type service struct {
	name    string
	number  int
	truth   *os.File
	outputs []string
	client  *kgo.Client
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func (s *service) tell(line map[string]any) {
	text, err := json.Marshal(line)
	check(err)
	_, err = s.truth.Write(append(text, '\n'))
	check(err)
}

func at(topic string, partition int32, offset int64) string {
	return fmt.Sprintf("%s/%d/%d", topic, partition, offset)
}

func (s *service) headers(style, chain, token string, cause *kgo.Record) (sent []kgo.RecordHeader) {
	of := map[string]string{}
	for _, header := range cause.Headers {
		of[header.Key] = string(header.Value)
	}
	add := func(key, value string) {
		if value != "" {
			sent = append(sent, kgo.RecordHeader{Key: key, Value: []byte(value)})
		}
	}
	if style == "trace" || style == "both" {
		add("traceparent", fmt.Sprintf("00-%s-%016x-01", chain, time.Now().UnixNano()))
	}
	if style == "trace" || style == "plain" || (style == "both" && s.number%2 == 1) {
		return sent
	}
	add("ce_specversion", "1.0")
	add("ce_id", token)
	add("ce_source", "/"+s.name)
	add("ce_type", s.name+".did")
	if style != "correlation" {
		add("ce_causationid", of["ce_id"])
	}
	if style != "causes" {
		correlation := of["ce_correlationid"]
		if correlation == "" {
			correlation = of["ce_id"]
		}
		add("ce_correlationid", correlation)
	}
	return sent
}

func (s *service) take(record *kgo.Record) {
	s.tell(map[string]any{"e": "took", "at": at(record.Topic, record.Partition, record.Offset)})
	var value map[string]any
	check(json.Unmarshal(record.Value, &value))
	hop := int(value["hop"].(float64))
	plan, token := value["plan"].(string), value["token"].(string)
	digit, err := strconv.ParseInt(plan[(hop*7+s.number*3)%32:][:1], 16, 32)
	check(err)
	for i := 0; hop < 4 && i < counts[digit]; i++ {
		own := map[string]any{}
		for key, one := range value {
			own[key] = one
		}
		id := fmt.Sprintf("%s.%s%d", token, s.name, i)
		own["hop"], own["token"], own["cause"], own["by"] = hop+1, id, token, s.name
		text, err := json.Marshal(own)
		check(err)
		sent := &kgo.Record{Topic: s.outputs[(int(digit)+i)%len(s.outputs)], Key: record.Key, Value: text,
			Headers: s.headers(value["style"].(string), value["chain"].(string), id, record)}
		there, err := s.client.ProduceSync(context.Background(), sent).First()
		check(err)
		s.tell(map[string]any{"e": "acked", "token": id, "at": at(there.Topic, there.Partition, there.Offset),
			"ms": time.Now().UnixMilli()})
	}
	done := at(record.Topic, record.Partition, record.Offset+1)
	s.tell(map[string]any{"e": "commits", "at": done})
	check(s.client.CommitRecords(context.Background(), record))
	s.tell(map[string]any{"e": "committed", "at": done})
}

func main() {
	number, err := strconv.Atoi(os.Args[3])
	check(err)
	truth, err := os.OpenFile(os.Args[4], os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	check(err)
	client, err := kgo.NewClient(kgo.SeedBrokers(os.Args[1]), kgo.ConsumerGroup(os.Args[2]),
		kgo.ConsumeTopics(strings.Split(os.Args[5], ",")...), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.SessionTimeout(3*time.Second),
		kgo.HeartbeatInterval(500*time.Millisecond), kgo.FetchMaxWait(50*time.Millisecond),
		kgo.MetadataMaxAge(time.Second), kgo.MetadataMinAge(250*time.Millisecond),
		kgo.RecordDeliveryTimeout(30*time.Second), kgo.ProducerLinger(0),
		kgo.ProducerBatchCompression(kgo.GzipCompression())) // by default Snappy, which kafkajs cannot read
	check(err)
	s := &service{os.Args[2], number, truth, strings.Split(os.Args[6], ","), client}
	for {
		fetches := client.PollFetches(context.Background())
		fetches.EachRecord(s.take)
	}
}
