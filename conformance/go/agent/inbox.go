package agent

import (
	"fmt"
	"slices"
	"sync"
)

// Inbox is what the harness can ask of a member, written by the member in the background: the partitions it has, how often
// it was given some, what it received since it was last asked, and the error that ended it.
type Inbox struct {
	mutex      sync.Mutex
	partitions map[place]bool
	rebalances int
	received   []receivedRecord
	failure    error
}

type place struct {
	topic     string
	partition int32
}

type receivedRecord struct {
	Topic     string  `json:"topic"`
	Partition int32   `json:"partition"`
	Offset    int64   `json:"offset"`
	Value     *string `json:"value"`
}

func newInbox() *Inbox {
	return &Inbox{partitions: map[place]bool{}}
}

// Assigned counts a rebalance, with the partitions that the member has from it on.
func (inbox *Inbox) Assigned(partitions map[string][]int32) {
	inbox.mutex.Lock()
	defer inbox.mutex.Unlock()
	inbox.rebalances++
	inbox.put(partitions, true)
}

// Revoked takes partitions away; it counts as nothing.
func (inbox *Inbox) Revoked(partitions map[string][]int32) {
	inbox.mutex.Lock()
	defer inbox.mutex.Unlock()
	inbox.put(partitions, false)
}

// Replaced is for a library that tells what it has rather than what changed: within one rebalance.
func (inbox *Inbox) Replaced(before, now map[string][]int32) {
	inbox.mutex.Lock()
	defer inbox.mutex.Unlock()
	inbox.put(before, false)
	inbox.put(now, true)
}

func (inbox *Inbox) put(partitions map[string][]int32, has bool) {
	for topic, numbers := range partitions {
		for _, number := range numbers {
			if has {
				inbox.partitions[place{topic, number}] = true
			} else {
				delete(inbox.partitions, place{topic, number})
			}
		}
	}
}

// Has tells whether the member has a partition now.
func (inbox *Inbox) Has(topic string, partition int32) bool {
	inbox.mutex.Lock()
	defer inbox.mutex.Unlock()
	return inbox.partitions[place{topic, partition}]
}

func (inbox *Inbox) Received(records ...Record) {
	inbox.mutex.Lock()
	defer inbox.mutex.Unlock()
	for _, record := range records {
		inbox.received = append(inbox.received, receivedRecord{record.Topic, record.Partition, record.Offset, text(record.Value)})
	}
}

// Failed is the end of a member that the harness did not ask for.
func (inbox *Inbox) Failed(err error) {
	inbox.mutex.Lock()
	defer inbox.mutex.Unlock()
	inbox.failure = err
	clear(inbox.partitions)
}

func (inbox *Inbox) assignment() (any, error) {
	inbox.mutex.Lock()
	defer inbox.mutex.Unlock()
	if inbox.failure != nil {
		return nil, inbox.failure
	}
	names := make([]string, 0, len(inbox.partitions))
	for at := range inbox.partitions {
		names = append(names, fmt.Sprintf("%s-%d", at.topic, at.partition))
	}
	slices.Sort(names)
	return map[string]any{"partitions": names, "rebalances": inbox.rebalances}, nil
}

func (inbox *Inbox) takeReceived() (any, error) {
	inbox.mutex.Lock()
	defer inbox.mutex.Unlock()
	if inbox.failure != nil {
		return nil, inbox.failure
	}
	records := inbox.received
	inbox.received = nil
	if records == nil {
		records = []receivedRecord{}
	}
	return map[string]any{"records": records}, nil
}
