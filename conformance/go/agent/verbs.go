package agent

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"time"
)

var verbs map[string]func(*session, []byte) (any, error)

type nothing struct{}

func short[R any](R) time.Duration { return VerbTimeout }

func init() {
	verbs = map[string]func(*session, []byte) (any, error){
		"hello": verb(short, func(talk *session, _ context.Context, ask struct {
			Bootstrap string `json:"bootstrap"`
		}) (any, error) {
			talk.client.Connect(ask.Bootstrap)
			return map[string]string{"client": talk.name, "version": talk.version}, nil
		}),
		"createTopic":      verb(short, (*session).createTopic),
		"describeTopic":    verb(short, (*session).describeTopic),
		"createPartitions": verb(short, (*session).createPartitions),
		"alterConfigs":     verb(short, (*session).alterConfigs),
		"describeConfigs":  verb(short, (*session).describeConfigs),
		"deleteRecords": verb(short, func(talk *session, ctx context.Context, ask deleteRecordsRequest) (any, error) {
			return nothing{}, talk.client.DeleteRecords(ctx, ask.Topic, ask.Partition, ask.Before)
		}),
		"deleteTopic": verb(short, (*session).deleteTopic),
		"produce":     verb(short, (*session).produce),
		"produceMany": verb(func(produceManyRequest) time.Duration { return 118 * time.Second }, (*session).produceMany),
		"consume":     verb(func(ask consumeRequest) time.Duration { return millis(ask.TimeoutMs) }, (*session).consume),
		"countAll":    verb(func(ask countAllRequest) time.Duration { return millis(ask.TimeoutMs) }, (*session).countAll),
		"offsets":     verb(short, (*session).offsets),
		"join":        verb(short, (*session).join),
		"assignment": verb(short, func(talk *session, _ context.Context, ask memberRequest) (any, error) {
			member, err := talk.member(ask.Member)
			if err != nil {
				return nil, err
			}
			return member.inbox.assignment()
		}),
		"received": verb(short, func(talk *session, _ context.Context, ask memberRequest) (any, error) {
			member, err := talk.member(ask.Member)
			if err != nil {
				return nil, err
			}
			return member.inbox.takeReceived()
		}),
		"seek": verb(short, func(talk *session, ctx context.Context, ask seekRequest) (any, error) {
			member, err := talk.member(ask.Member)
			if err != nil {
				return nil, err
			}
			return nothing{}, member.Seek(ctx, ask.Topic, ask.Partition, ask.Offset)
		}),
		"leave": verb(short, (*session).leave),
		"commit": verb(short, func(talk *session, ctx context.Context, ask commitRequest) (any, error) {
			return nothing{}, talk.client.Commit(ctx, ask.Group, ask.Topic, ask.Partition, ask.Offset, ask.Metadata)
		}),
		"committed": verb(short, func(talk *session, ctx context.Context, ask committedRequest) (any, error) {
			offset, metadata, err := talk.client.Committed(ctx, ask.Group, ask.Topic, ask.Partition)
			return map[string]any{"offset": offset, "metadata": metadata}, err
		}),
		"describeGroup": verb(short, func(talk *session, ctx context.Context, ask groupRequest) (any, error) {
			state, members, err := talk.client.DescribeGroup(ctx, ask.Group)
			return map[string]any{"state": state, "members": members}, err
		}),
		"listGroups": verb(short, func(talk *session, ctx context.Context, _ nothing) (any, error) {
			groups, err := talk.client.ListGroups(ctx)
			if groups == nil {
				groups = []string{}
			}
			return map[string]any{"groups": groups}, err
		}),
		"deleteGroup": verb(short, func(talk *session, ctx context.Context, ask groupRequest) (any, error) {
			return nothing{}, talk.client.DeleteGroup(ctx, ask.Group)
		}),
	}
}

func (talk *session) createTopic(ctx context.Context, ask createTopicRequest) (any, error) {
	if err := talk.client.CreateTopic(ctx, ask.Topic, ask.Partitions, ask.Configs); err != nil {
		return nil, err
	}
	return nothing{}, talk.awaitPartitions(ctx, ask.Topic, ask.Partitions)
}

func (talk *session) describeTopic(ctx context.Context, ask topicRequest) (any, error) {
	partitions, err := talk.client.PartitionsOf(ctx, ask.Topic)
	return map[string]any{"partitions": partitions}, err
}

func (talk *session) createPartitions(ctx context.Context, ask createPartitionsRequest) (any, error) {
	if err := talk.client.CreatePartitions(ctx, ask.Topic, ask.Total); err != nil {
		return nil, err
	}
	return nothing{}, talk.awaitPartitions(ctx, ask.Topic, ask.Total)
}

func (talk *session) deleteTopic(ctx context.Context, ask topicRequest) (any, error) {
	if err := talk.client.DeleteTopic(ctx, ask.Topic); err != nil {
		return nil, err
	}
	return nothing{}, await(ctx, func() bool {
		_, err := talk.client.PartitionsOf(ctx, ask.Topic)
		return err != nil && failureOf(err).Code == "UNKNOWN_TOPIC_OR_PARTITION"
	})
}

func (talk *session) awaitPartitions(ctx context.Context, topic string, partitions int32) error {
	return await(ctx, func() bool {
		seen, err := talk.client.PartitionsOf(ctx, topic)
		return err == nil && (seen == partitions || partitions < 0)
	})
}

func (talk *session) alterConfigs(ctx context.Context, ask alterConfigsRequest) (any, error) {
	if err := talk.client.AlterConfigs(ctx, ask.Topic, ask.Set); err != nil {
		return nil, err
	}
	names := make([]string, 0, len(ask.Set))
	for name := range ask.Set {
		names = append(names, name)
	}
	return nothing{}, await(ctx, func() bool {
		seen, err := talk.client.DescribeConfigs(ctx, ask.Topic, names)
		if err != nil {
			return false
		}
		for name, value := range ask.Set {
			if is := seen[name].Value; is == nil || *is != value {
				return false
			}
		}
		return true
	})
}

func (talk *session) describeConfigs(ctx context.Context, ask describeConfigsRequest) (any, error) {
	all, err := talk.client.DescribeConfigs(ctx, ask.Topic, ask.Names)
	if err != nil {
		return nil, err
	}
	asked := map[string]Config{}
	for _, name := range ask.Names {
		if config, has := all[name]; has {
			asked[name] = config
		}
	}
	return map[string]any{"configs": asked}, nil
}

// await asks until a change is to be seen: Apache Kafka answers before every part of it knows. What is never seen is not this
// verb's error: the next one will show it.
func await(ctx context.Context, seen func() bool) error {
	for attempt := range 40 {
		if seen() {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(Backoff(attempt)/10, 100*time.Millisecond)):
		}
	}
	return nil
}

func (talk *session) produce(ctx context.Context, ask produceRequest) (any, error) {
	records := make([]Record, len(ask.Records))
	for i, given := range ask.Records {
		record := Record{Topic: ask.Topic, Partition: given.Partition, Key: opaque(given.Key), Value: opaque(given.Value), TimestampMs: given.TimestampMs}
		if given.ValueBytes != nil {
			record.Value = bytes.Repeat([]byte("x"), *given.ValueBytes)
		}
		if given.Headers != nil {
			for _, header := range *given.Headers {
				record.Headers = append(record.Headers, Header{header[0], header[1]})
			}
		}
		records[i] = record
	}
	offsets, err := talk.client.Produce(ctx, Producing{ask.Topic, ask.Codec, ask.Acks, ask.Idempotent}, records)
	if err != nil {
		return nil, err
	}
	if ask.Acks == 0 {
		for i := range offsets {
			offsets[i] = -1
		}
	}
	return map[string]any{"offsets": offsets}, nil
}

func (talk *session) produceMany(ctx context.Context, ask produceManyRequest) (any, error) {
	how := Producing{ask.Topic, ask.Codec, -1, ask.Idempotent}
	acknowledged, err := talk.client.ProduceMany(ctx, how, ask.Count, func(i int) Record {
		value := strconv.AppendInt(make([]byte, 0, max(ask.ValueBytes, 20)), int64(i), 10)
		value = append(value, ':')
		for len(value) < ask.ValueBytes {
			value = append(value, 'x')
		}
		return Record{Topic: ask.Topic, Partition: int32(i) % ask.Partitions, Value: value}
	})
	return map[string]any{"acknowledged": acknowledged}, err
}

type consumedRecord struct {
	Offset      int64       `json:"offset"`
	Key         *string     `json:"key"`
	Value       *string     `json:"value"`
	Headers     [][2]string `json:"headers"`
	TimestampMs int64       `json:"timestamp"`
}

func (talk *session) consume(ctx context.Context, ask consumeRequest) (any, error) {
	records := []consumedRecord{}
	if ask.Count == 0 {
		return map[string]any{"records": records}, nil
	}
	err := talk.client.Consume(ctx, ask.Topic, map[int32]int64{ask.Partition: ask.From}, func(record Record) bool {
		headers := [][2]string{}
		for _, header := range record.Headers {
			headers = append(headers, [2]string{header.Name, header.Value})
		}
		records = append(records, consumedRecord{record.Offset, text(record.Key), text(record.Value), headers, *record.TimestampMs})
		return len(records) < ask.Count
	})
	return map[string]any{"records": records}, err
}

func (talk *session) countAll(ctx context.Context, ask countAllRequest) (any, error) {
	from := map[int32]int64{}
	for partition := range ask.Partitions {
		from[partition] = Earliest
	}
	received, distinct := 0, map[string]struct{}{}
	err := talk.client.Consume(ctx, ask.Topic, from, func(record Record) bool {
		number, _, _ := bytes.Cut(record.Value, []byte(":"))
		received++
		distinct[string(number)] = struct{}{}
		return len(distinct) < ask.Expected
	})
	return map[string]any{"received": received, "distinct": len(distinct)}, err
}

func (talk *session) offsets(ctx context.Context, ask offsetsRequest) (any, error) {
	var timeMs int64
	switch at := ask.At.(type) {
	case float64:
		timeMs = int64(at)
	case string:
		timeMs = map[string]int64{"earliest": Earliest, "latest": Latest}[at]
	}
	if timeMs == 0 && ask.At != float64(0) {
		return nil, Failure{"CLIENT", fmt.Sprintf("no offset is at %v", ask.At)}
	}
	offset, err := talk.client.Offset(ctx, ask.Topic, ask.Partition, timeMs)
	return map[string]any{"offset": offset}, err
}

func (talk *session) join(_ context.Context, ask joinRequest) (any, error) {
	inbox := newInbox()
	how := Joining{ask.Group, ask.Topics, millis(ask.SessionTimeoutMs), ask.InstanceID, ask.Assignor, ask.Commit}
	joined, err := talk.client.Join(how, inbox)
	if err != nil {
		return nil, err
	}
	talk.joined++
	name := fmt.Sprintf("member-%d", talk.joined)
	talk.members[name] = &member{Member: joined, inbox: inbox}
	return map[string]string{"member": name}, nil
}

func (talk *session) leave(ctx context.Context, ask memberRequest) (any, error) {
	member, err := talk.member(ask.Member)
	if err != nil || member.left {
		return nothing{}, err
	}
	member.left = true
	return nothing{}, member.Leave(ctx)
}

func (talk *session) member(name string) (*member, error) {
	if member, has := talk.members[name]; has {
		return member, nil
	}
	return nil, Failure{"CLIENT", "no member " + name}
}

func millis(count int) time.Duration { return time.Duration(count) * time.Millisecond }

// text and opaque keep null apart from the empty text.
func text(value []byte) *string {
	if value == nil {
		return nil
	}
	return new(string(value))
}

func opaque(value *string) []byte {
	if value == nil {
		return nil
	}
	return []byte(*value)
}
