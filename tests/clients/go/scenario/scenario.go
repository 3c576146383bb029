// Package scenario runs scenario.json through a Go client and prints one line a step. The ops are
// those of python/common.py; README.md describes them.
package scenario

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

const Wait = 30 * time.Second

// ErrSkip marks a step that a client cannot do.
var ErrSkip = errors.New("skip")

// ServerError is the server's error code as the library handed it out.
type ServerError struct {
	Code int16
	Text string
}

func (e ServerError) Error() string { return fmt.Sprintf("error %d %s", e.Code, e.Text) }

type Header struct{ Key, Value string }

type Record struct {
	Partition   int32
	Offset      int64
	Key, Value  []byte
	Headers     []Header
	TimestampMs int64 // 0: now
}

type ProduceOptions struct {
	Codec      string
	Acks       int
	Idempotent bool
}

// Member belongs to a group and is subscribed to one topic.
type Member interface {
	Poll() []Record // what has come since the last call; waits a little
	Assignment() []int32
	Commit(topic string, partition int32, offset int64) error
	Close()
}

// Client is what a library does for the scenario.
type Client interface {
	CreateTopic(topic string, partitions int, config map[string]string) error
	DeleteTopic(topic string) error
	ListTopics() ([]string, error)
	CountPartitions(topic string) (int, error)
	GetConfig(topic, key string) (string, error)
	SetConfig(topic, key, value string) error
	AddPartitions(topic string, count int) error
	DeleteRecords(topic string, partition int32, before int64) error
	Produce(topic string, records []Record, options ProduceOptions) error
	Offsets(topic string, partition int32) (earliest, latest int64, err error)
	OffsetAt(topic string, partition int32, timeMs int64) (int64, error)
	Read(topic string, partition int32, start int64, count int) ([]Record, error)
	Member(group, topic string) (Member, error)
	ListGroups() ([]string, error)
	GroupState(group string) (string, error)
	GroupOffset(group, topic string, partition int32) (int64, error)
	DeleteGroup(group string) error
	Transactions(id string) (Transactional, error)
	// ReadIsolated reads partition 0 from the start.
	ReadIsolated(topic string, count int, committed bool) ([]Record, error)
	Transform(what Transform) (from int64, err error)
}

type step struct {
	Step         string            `json:"step"`
	Op           string            `json:"op"`
	Topics       []step            `json:"topics"`
	Topic        string            `json:"topic"`
	Group        string            `json:"group"`
	State        string            `json:"state"`
	Partition    int32             `json:"partition"`
	Partitions   int               `json:"partitions"`
	Config       map[string]string `json:"config"`
	Contains     []string          `json:"contains"`
	Key          string            `json:"key"`
	Value        string            `json:"value"`
	Codec        string            `json:"codec"`
	Acks         *int              `json:"acks"`
	Count        int               `json:"count"`
	ValueBytes   *int              `json:"value_bytes"`
	Idempotent   bool              `json:"idempotent"`
	Fresh        bool              `json:"fresh"`
	Keyed        *bool             `json:"keyed"`
	Headers      [][2]string       `json:"headers"`
	StartMs      int64             `json:"start_ms"`
	EveryMs      int64             `json:"every_ms"`
	AtMs         int64             `json:"at_ms"`
	AfterMs      int64             `json:"after_ms"`
	Offset       int64             `json:"offset"`
	Earliest     int64             `json:"earliest"`
	Latest       int64             `json:"latest"`
	Take         int               `json:"take"`
	Total        int               `json:"total"`
	Records      int               `json:"records"`
	Into         string            `json:"into"`
	Transactions []transaction     `json:"transactions"`
	Before       int64             `json:"before"`
	Error        int16             `json:"error"`
	ErrorName    string            `json:"error_name"`
}

type runner struct {
	client Client
	prefix string
}

var plain = ProduceOptions{Codec: "none", Acks: -1}

func (r *runner) name(text string) string { return r.prefix + "." + text }

func waitFor(what string, condition func() (bool, error)) error {
	for end := time.Now().Add(Wait); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if done, err := condition(); err != nil || done {
			return err
		}
	}
	return fmt.Errorf("waited %s for %s", Wait, what)
}

func fill(text string, size int) []byte {
	return []byte(strings.Repeat(text, size/len(text)+1)[:size])
}

func recordsOf(s step) []Record {
	var headers []Header
	for _, pair := range s.Headers {
		headers = append(headers, Header{pair[0], pair[1]})
	}
	records := make([]Record, s.Count)
	for index := range records {
		text := fmt.Sprintf("%s-%d ", s.Step, index)
		record := Record{Partition: s.Partition, Headers: headers}
		if s.Keyed == nil || *s.Keyed {
			record.Key = []byte(strings.TrimSpace(text))
		}
		if s.ValueBytes != nil {
			record.Value = fill(text, *s.ValueBytes)
		}
		records[index] = record
	}
	return records
}

func (r *runner) createTopic(s step) error {
	return r.client.CreateTopic(r.name(s.Topic), s.Partitions, s.Config)
}

func (r *runner) createTopics(s step) error {
	for _, wanted := range s.Topics {
		if err := r.createTopic(wanted); err != nil {
			return err
		}
	}
	return nil
}

func (r *runner) allIn(s step, names []string) bool {
	return !slices.ContainsFunc(s.Contains, func(name string) bool {
		return !slices.Contains(names, r.name(name))
	})
}

func (r *runner) listTopics(s step) error {
	return waitFor("the topics to be listed", func() (bool, error) {
		names, err := r.client.ListTopics()
		return r.allIn(s, names), err
	})
}

func (r *runner) describeTopic(s step) error {
	return waitFor("the partitions", func() (bool, error) {
		count, err := r.client.CountPartitions(r.name(s.Topic))
		return count == s.Partitions, err
	})
}

func (r *runner) describeConfig(s step) error {
	return waitFor("the setting", func() (bool, error) {
		value, err := r.client.GetConfig(r.name(s.Topic), s.Key)
		return value == s.Value, err
	})
}

func (r *runner) alterConfig(s step) error {
	if err := r.client.SetConfig(r.name(s.Topic), s.Key, s.Value); err != nil {
		return err
	}
	return r.describeConfig(s)
}

func differ(sent, got Record, offset int64) error {
	switch {
	case got.Offset != offset:
		return fmt.Errorf("offset %d, not %d", got.Offset, offset)
	case !bytes.Equal(got.Key, sent.Key) || (got.Key == nil) != (sent.Key == nil):
		return fmt.Errorf("the key differs at %d", offset)
	case !bytes.Equal(got.Value, sent.Value) || (got.Value == nil) != (sent.Value == nil):
		return fmt.Errorf("the value differs at %d", offset)
	case !slices.Equal(got.Headers, sent.Headers):
		return fmt.Errorf("headers %v", got.Headers)
	}
	return nil
}

func (r *runner) roundTrip(s step) error {
	topic, start := r.name(s.Topic), int64(0)
	var err error
	if !s.Fresh {
		if _, start, err = r.client.Offsets(topic, s.Partition); err != nil {
			return err
		}
	}
	options := ProduceOptions{Codec: s.Codec, Acks: -1, Idempotent: s.Idempotent}
	if s.Acks != nil {
		options.Acks = *s.Acks
	}
	sent := recordsOf(s)
	if err := r.client.Produce(topic, sent, options); err != nil {
		return err
	}
	got, err := r.client.Read(topic, s.Partition, start, len(sent))
	if err != nil {
		return err
	}
	for index := range sent {
		if err := differ(sent[index], got[index], start+int64(index)); err != nil {
			return err
		}
	}
	return nil
}

func due(s step, err error) error {
	var told ServerError
	switch {
	case err == nil:
		return fmt.Errorf("taken, but %s was due", s.ErrorName)
	case errors.Is(err, ErrSkip):
		return err
	case !errors.As(err, &told) || told.Code != s.Error:
		return fmt.Errorf("%w, but %s was due", err, s.ErrorName)
	}
	return nil
}

func (r *runner) produceError(s step) error {
	record := Record{Partition: s.Partition, Value: fill("too large ", *s.ValueBytes)}
	return due(s, r.client.Produce(r.name(s.Topic), []Record{record}, plain))
}

func (r *runner) seekTime(s step) error {
	topic := r.name(s.Topic)
	records := make([]Record, s.Count)
	for index := range records {
		records[index] = Record{Value: []byte("at"), TimestampMs: s.StartMs + int64(index)*s.EveryMs}
	}
	if err := r.client.Produce(topic, records, plain); err != nil {
		return err
	}
	offset, err := r.client.OffsetAt(topic, 0, s.AtMs)
	if err != nil || offset != s.Offset {
		return fmt.Errorf("offset %d %v", offset, err)
	}
	first, err := r.client.Read(topic, 0, offset, 1)
	if err != nil || first[0].TimestampMs != records[offset].TimestampMs {
		return fmt.Errorf("first %v %v", first, err)
	}
	after, err := r.client.OffsetAt(topic, 0, s.AfterMs)
	if err != nil || (after != -1 && after != int64(s.Count)) {
		return fmt.Errorf("offset %d for a time to come %v", after, err)
	}
	return nil
}

func (r *runner) watermarks(s step) error {
	earliest, latest, err := r.client.Offsets(r.name(s.Topic), s.Partition)
	if err == nil && (earliest != s.Earliest || latest != s.Latest) {
		err = fmt.Errorf("from %d to %d", earliest, latest)
	}
	return err
}

func (r *runner) readAndCommit(s step, from, to int64) error {
	member, err := r.client.Member(r.name(s.Group), r.name(s.Topic))
	if err != nil {
		return err
	}
	defer member.Close()
	var got []Record
	err = waitFor("the records", func() (bool, error) {
		got = append(got, member.Poll()...)
		return int64(len(got)) >= to-from, nil
	})
	if err != nil {
		return err
	}
	for index, record := range got[:to-from] {
		if record.Offset != from+int64(index) {
			return fmt.Errorf("read %d, not %d", record.Offset, from+int64(index))
		}
	}
	return member.Commit(r.name(s.Topic), 0, to)
}

func (r *runner) commitResume(s step) error {
	if err := r.readAndCommit(s, 0, int64(s.Take)); err != nil {
		return err
	}
	return r.readAndCommit(s, int64(s.Take), int64(s.Total))
}

type seen map[[2]int64]bool

func (seen seen) look(members []Member) {
	for _, member := range members {
		for _, record := range member.Poll() {
			seen[[2]int64{int64(record.Partition), record.Offset}] = true
		}
	}
}

func (seen seen) own(members []Member, counts ...int) error {
	return waitFor(fmt.Sprintf("the members to own %v", counts), func() (bool, error) {
		seen.look(members)
		for index, member := range members {
			if len(member.Assignment()) != counts[index] {
				return false, nil
			}
		}
		return true, nil
	})
}

func (r *runner) produceAndSee(s step, seen seen, members []Member, round int) error {
	var records []Record
	for index := 0; index < s.Records; index++ {
		records = append(records, Record{Partition: int32(index % s.Partitions), Value: []byte("v")})
	}
	if err := r.client.Produce(r.name(s.Topic), records, plain); err != nil {
		return err
	}
	return waitFor("all the records", func() (bool, error) {
		seen.look(members)
		return len(seen) >= round*s.Records, nil
	})
}

func (r *runner) rebalance(s step) error {
	group, topic, seen := r.name(s.Group), r.name(s.Topic), seen{}
	stays, err := r.client.Member(group, topic)
	if err != nil {
		return err
	}
	defer stays.Close()
	alone := []Member{stays}
	if err := seen.own(alone, s.Partitions); err != nil {
		return err
	}
	leaves, err := r.client.Member(group, topic)
	if err != nil {
		return err
	}
	both := []Member{stays, leaves}
	err = seen.own(both, s.Partitions/2, s.Partitions/2)
	if err == nil {
		err = r.produceAndSee(s, seen, both, 1)
	}
	leaves.Close()
	if err != nil {
		return err
	}
	if err := seen.own(alone, s.Partitions); err != nil {
		return err
	}
	if err := r.produceAndSee(s, seen, alone, 2); err != nil {
		return err
	}
	if len(seen) != 2*s.Records {
		return fmt.Errorf("%d records", len(seen))
	}
	return nil
}

func (r *runner) listGroups(s step) error {
	groups, err := r.client.ListGroups()
	if err == nil && !r.allIn(s, groups) {
		err = fmt.Errorf("only %v are listed", groups)
	}
	return err
}

func (r *runner) describeGroup(s step) error {
	return waitFor("the group to be "+s.State, func() (bool, error) {
		state, err := r.client.GroupState(r.name(s.Group))
		return state == s.State, err
	})
}

func (r *runner) groupOffsets(s step) error {
	offset, err := r.client.GroupOffset(r.name(s.Group), r.name(s.Topic), s.Partition)
	if err == nil && offset != s.Offset {
		err = fmt.Errorf("offset %d", offset)
	}
	return err
}

func (r *runner) deleteGroup(s step) error {
	if err := r.client.DeleteGroup(r.name(s.Group)); err != nil {
		return err
	}
	groups, err := r.client.ListGroups()
	if err == nil && slices.Contains(groups, r.name(s.Group)) {
		err = errors.New("still listed")
	}
	return err
}

func (r *runner) createPartitions(s step) error {
	if err := r.client.AddPartitions(r.name(s.Topic), s.Partitions); err != nil {
		return err
	}
	return r.describeTopic(s)
}

func (r *runner) deleteRecords(s step) error {
	if err := r.client.DeleteRecords(r.name(s.Topic), s.Partition, s.Before); err != nil {
		return err
	}
	earliest, _, err := r.client.Offsets(r.name(s.Topic), s.Partition)
	if err == nil && earliest != s.Before {
		err = fmt.Errorf("from %d on", earliest)
	}
	return err
}

func (r *runner) deleteTopic(s step) error {
	if err := r.client.DeleteTopic(r.name(s.Topic)); err != nil {
		return err
	}
	return waitFor("the topic to go", func() (bool, error) {
		names, err := r.client.ListTopics()
		return !slices.Contains(names, r.name(s.Topic)), err
	})
}

func (r *runner) run(s step) error {
	ops := map[string]func(step) error{
		"create_topics": r.createTopics, "list_topics": r.listTopics,
		"describe_topic": r.describeTopic, "describe_config": r.describeConfig,
		"alter_config": r.alterConfig, "round_trip": r.roundTrip,
		"produce_error": r.produceError, "seek_time": r.seekTime, "watermarks": r.watermarks,
		"commit_resume": r.commitResume, "rebalance": r.rebalance, "list_groups": r.listGroups,
		"describe_group": r.describeGroup, "group_offsets": r.groupOffsets,
		"delete_group": r.deleteGroup, "create_partitions": r.createPartitions,
		"transaction": r.transaction, "transaction_fence": r.fence,
		"transaction_offsets": r.transactionOffsets,
		"delete_records":      r.deleteRecords, "delete_topic": r.deleteTopic,
		"create_error": func(s step) error { return due(s, r.createTopic(s)) },
		"delete_error": func(s step) error { return due(s, r.client.DeleteTopic(r.name(s.Topic))) },
	}
	op, known := ops[s.Op]
	if !known {
		return fmt.Errorf("no op %s: %w", s.Op, ErrSkip)
	}
	return op(s)
}

// Main runs RUNNER SCENARIO BOOTSTRAP PREFIX [STEP ...].
func Main(client string, open func(bootstrap, prefix string) (Client, error)) {
	var scenario struct {
		Steps []step `json:"steps"`
	}
	text, err := os.ReadFile(os.Args[1])
	if err == nil {
		err = json.Unmarshal(text, &scenario)
	}
	r := &runner{prefix: os.Args[3]}
	if err == nil {
		r.client, err = open(os.Args[2], os.Args[3])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, s := range scenario.Steps {
		if only := os.Args[4:]; len(only) > 0 && !slices.Contains(only, s.Step) {
			continue
		}
		began := time.Now()
		switch err := r.run(s); {
		case err == nil:
			fmt.Printf("ok %s %s\n", client, s.Step)
		case errors.Is(err, ErrSkip):
			fmt.Printf("skip %s %s: %v\n", client, s.Step, err)
		default:
			why := strings.Join(strings.Fields(err.Error()), " ")
			fmt.Printf("not ok %s %s: %s\n", client, s.Step, why)
		}
		fmt.Fprintf(os.Stderr, "%s %s\n", s.Step, time.Since(began))
	}
}
