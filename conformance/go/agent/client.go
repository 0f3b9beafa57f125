// Package agent is everything that the agents of two Go libraries have in common: the protocol with the harness, what a
// member of a group keeps, and the names of errors. A library comes in as a Client.
package agent

import (
	"context"
	"time"
)

// Client is one library. Its methods return when the broker has answered or the context is over; an error that is no
// Kafka error, Failure or Unsupported is told as CLIENT.
type Client interface {
	// Connect keeps the address; nothing needs the broker yet.
	Connect(bootstrap string)
	// Close ends everything but members, which have left before.
	Close()

	CreateTopic(ctx context.Context, topic string, partitions int32, configs map[string]string) error
	// PartitionsOf asks the broker, and never makes a topic by asking.
	PartitionsOf(ctx context.Context, topic string) (int32, error)
	CreatePartitions(ctx context.Context, topic string, total int32) error
	AlterConfigs(ctx context.Context, topic string, set map[string]string) error
	DescribeConfigs(ctx context.Context, topic string, names []string) (map[string]Config, error)
	DeleteRecords(ctx context.Context, topic string, partition int32, before int64) error
	DeleteTopic(ctx context.Context, topic string) error

	// Produce gives the records in order and returns their offsets, or the error of the first that was not taken.
	Produce(ctx context.Context, how Producing, records []Record) ([]int64, error)
	// ProduceMany sends record 0 to count-1, and returns how many were acknowledged.
	ProduceMany(ctx context.Context, how Producing, count int, record func(int) Record) (int, error)

	// Consume gives the records of partitions, each from an offset or Earliest, to take, until that returns false; the end of
	// the context is no error.
	Consume(ctx context.Context, topic string, from map[int32]int64, take func(Record) bool) error
	// Offset is that of the first record at the time or later; Earliest and Latest are such times. None: -1.
	Offset(ctx context.Context, topic string, partition int32, timeMs int64) (int64, error)

	// Join returns at once. What the member is given and receives goes into the inbox.
	Join(how Joining, inbox *Inbox) (Member, error)
	Commit(ctx context.Context, group, topic string, partition int32, offset int64, metadata string) error
	Committed(ctx context.Context, group, topic string, partition int32) (offset int64, metadata string, err error)
	DescribeGroup(ctx context.Context, group string) (state string, members int, err error)
	ListGroups(ctx context.Context) ([]string, error)
	DeleteGroup(ctx context.Context, group string) error
}

// Member is a member of a group, polling in the background.
type Member interface {
	// Seek moves one partition of those that the member has.
	Seek(ctx context.Context, topic string, partition int32, offset int64) error
	// Leave commits what was received and leaves in order. It is called once.
	Leave(ctx context.Context) error
}

const (
	Latest   int64 = -1
	Earliest int64 = -2

	// RequestBytesMax is the client's own limit of a record and of a request, high enough for the broker to decide.
	RequestBytesMax = 8 << 20
	// VerbTimeout bounds every verb that names no time of its own, and how long a producer tries.
	VerbTimeout = 19 * time.Second
	// RebalanceTimeout is what members give each other to join again.
	RebalanceTimeout = 10 * time.Second
)

type Config struct {
	Value     *string `json:"value"`
	IsDefault bool    `json:"isDefault"`
}

type Header struct {
	Name, Value string
}

// Record is what is written and what is read. As bytes, since nil (no key, a tombstone) is not the empty text.
type Record struct {
	Topic       string
	Partition   int32
	Offset      int64
	Key, Value  []byte
	Headers     []Header
	TimestampMs *int64
}

type Producing struct {
	Topic      string
	Codec      string
	Acks       int16
	Idempotent bool
}

type Joining struct {
	Group          string
	Topics         []string
	SessionTimeout time.Duration
	InstanceID     *string
	Assignor       string
	Commit         bool
}

// HeartbeatInterval is short, since members learn of a rebalance by a heartbeat only.
func HeartbeatInterval(sessionTimeout time.Duration) time.Duration {
	return min(sessionTimeout/3, 500*time.Millisecond)
}

// Backoff before another attempt, within the protocol's 100 ms to 1 s.
func Backoff(attempt int) time.Duration {
	return min(time.Duration(max(attempt, 1))*100*time.Millisecond, time.Second)
}
