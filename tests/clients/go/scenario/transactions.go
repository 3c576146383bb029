package scenario

import (
	"errors"
	"fmt"
	"os"
	"slices"
)

// ErrFenced marks the library's error for a producer whose transactional id a newer one has.
var ErrFenced = errors.New("fenced")

// Transactional is a producer with a transactional id.
type Transactional interface {
	Begin() error
	Send(topic string, keys []string) error // returns when they are acknowledged
	End(commit bool) error
	Close()
}

// Transform is one consume-transform-produce: the next Count records of the group go from Topic
// into Into, and the group's offset with them.
type Transform struct {
	ID, Group, Topic, Into string
	Count                  int
	Commit                 bool
}

// concurrentTransactions: the transaction that the new producer aborts is still ending.
const concurrentTransactions = 51

// WhileConcurrent calls init again as long as the server says so; these libraries leave that to
// their users.
func WhileConcurrent(init func() error) error {
	return waitFor("the transaction before to end", func() (bool, error) {
		var told ServerError
		err := init()
		if errors.As(err, &told) && told.Code == concurrentTransactions {
			return false, nil
		}
		return true, err
	})
}

type transaction struct {
	Count  int  `json:"count"`
	Commit bool `json:"commit"`
}

func keys(word string, count int) []string {
	var keys []string
	for index := range count {
		keys = append(keys, fmt.Sprintf("%s-%d", word, index))
	}
	return keys
}

// KeysOf are the keys of some records.
func KeysOf(records []Record) []string {
	var keys []string
	for _, record := range records {
		keys = append(keys, string(record.Key))
	}
	return keys
}

// checkSeen: a reader of that isolation level sees these keys, in this order.
func (r *runner) checkSeen(topic string, committed bool, keys []string) error {
	records, err := r.client.ReadIsolated(topic, len(keys), committed)
	if got := KeysOf(records); err == nil && !slices.Equal(got, keys) {
		err = fmt.Errorf("read, committed only: %t: %v, not %v", committed, got, keys)
	}
	return err
}

func (r *runner) transaction(s step) error {
	producer, err := r.client.Transactions(r.name(s.Step))
	if err != nil {
		return err
	}
	defer producer.Close()
	var all, committed []string
	for number, wanted := range s.Transactions {
		keys := keys(fmt.Sprint(number), wanted.Count)
		all = append(all, keys...)
		if err := errors.Join(producer.Begin(), producer.Send(r.name(s.Topic), keys)); err != nil {
			return err
		}
		if number == len(s.Transactions)-1 {
			if err := r.checkSeen(r.name(s.Topic), false, all); err != nil {
				return fmt.Errorf("while it is open: %w", err)
			}
		}
		if err := producer.End(wanted.Commit); err != nil {
			return err
		}
		if wanted.Commit {
			committed = append(committed, keys...)
		}
	}
	return errors.Join(r.checkSeen(r.name(s.Topic), true, committed),
		r.checkSeen(r.name(s.Topic), false, all))
}

func (r *runner) fence(s step) error {
	first, err := r.client.Transactions(r.name(s.Step))
	if err != nil {
		return err
	}
	defer first.Close()
	topic, old, fresh := r.name(s.Topic), keys("old", s.Count), keys("new", s.Count)
	if err := errors.Join(first.Begin(), first.Send(topic, old)); err != nil {
		return err
	}
	second, err := r.client.Transactions(r.name(s.Step))
	if err != nil {
		return err
	}
	defer second.Close()
	if err := errors.Join(second.Begin(), second.Send(topic, fresh)); err != nil {
		return err
	}
	err = first.End(true)
	if err == nil {
		err = errors.New("the fenced producer could commit")
	}
	if !errors.Is(err, ErrFenced) {
		return err
	}
	fmt.Fprintln(os.Stderr, err)
	if err := second.End(true); err != nil {
		return err
	}
	return errors.Join(r.checkSeen(topic, true, fresh),
		r.checkSeen(topic, false, append(old, fresh...)))
}

func (r *runner) transactionOffsets(s step) error {
	topic, into, keys := r.name(s.Topic), r.name(s.Into), keys("in", s.Total)
	var records []Record
	for _, key := range keys {
		records = append(records, Record{Key: []byte(key), Value: []byte("v")})
	}
	if err := r.client.Produce(topic, records, plain); err != nil {
		return err
	}
	var all, committed []string
	position := 0
	for _, wanted := range s.Transactions {
		taken := keys[position : position+wanted.Count]
		from, err := r.client.Transform(Transform{r.name(s.Step), r.name(s.Group), topic, into,
			wanted.Count, wanted.Commit})
		if err == nil && from != int64(position) {
			err = fmt.Errorf("resumed at %d, not %d", from, position)
		}
		if err != nil {
			return err
		}
		all = append(all, taken...)
		if !wanted.Commit {
			continue
		}
		committed = append(committed, taken...)
		position += wanted.Count
		err = waitFor(fmt.Sprintf("the group's offset to be %d", position), func() (bool, error) {
			offset, err := r.client.GroupOffset(r.name(s.Group), topic, 0)
			return offset == int64(position), err
		})
		if err != nil {
			return err
		}
	}
	return errors.Join(r.checkSeen(into, true, committed), r.checkSeen(into, false, all))
}

// TakeFrom reads what a transform asks for; the first record's offset comes back with the records.
func TakeFrom(member Member, count int) ([]Record, int64, error) {
	var got []Record
	err := waitFor("the records to transform", func() (bool, error) {
		got = append(got, member.Poll()...)
		return len(got) >= count, nil
	})
	if err != nil {
		return nil, 0, err
	}
	return got[:count], got[0].Offset, nil
}
