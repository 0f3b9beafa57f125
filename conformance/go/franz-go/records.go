package main

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"tidelog/conformance/agent"
)

var codecs = map[string]kgo.CompressionCodec{
	"none":   kgo.NoCompression(),
	"gzip":   kgo.GzipCompression(),
	"snappy": kgo.SnappyCompression(),
	"lz4":    kgo.Lz4Compression(),
	"zstd":   kgo.ZstdCompression(),
}

func producing(how agent.Producing, batchBytesMax int) []kgo.Opt {
	opts := []kgo.Opt{
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(codecs[how.Codec]),
		kgo.ProducerBatchMaxBytes(int32(batchBytesMax)),
		// The context bounds it: RecordDeliveryTimeout counts from a record's own time, which may be long ago. Without this
		// a record whose fate is unknown would be tried for ever, and the harness has to be told something.
		kgo.AllowIdempotentProduceCancellation(),
	}
	switch how.Acks {
	case 0:
		opts = append(opts, kgo.RequiredAcks(kgo.NoAck()))
	case 1:
		opts = append(opts, kgo.RequiredAcks(kgo.LeaderAck()))
	}
	if !how.Idempotent {
		opts = append(opts, kgo.DisableIdempotentWrite())
	}
	return opts
}

// batchBytesDefault is kgo's own; a batch is larger only for a record that is.
const batchBytesDefault = 1_000_012

func batchBytesFor(records []agent.Record) int {
	largest := 0
	for _, record := range records {
		size := len(record.Key) + len(record.Value)
		for _, header := range record.Headers {
			size += len(header.Name) + len(header.Value) + 10
		}
		largest = max(largest, size)
	}
	return min(max(batchBytesDefault, largest+1024), agent.RequestBytesMax)
}

func (c *client) Produce(ctx context.Context, how agent.Producing, records []agent.Record) ([]int64, error) {
	producer, err := c.open(producing(how, batchBytesFor(records))...)
	if err != nil {
		return nil, err
	}
	defer producer.Close()
	out := make([]*kgo.Record, len(records))
	for i, record := range records {
		out[i] = written(record)
	}
	results := producer.ProduceSync(ctx, out...)
	offsets := make([]int64, len(out))
	for i, record := range out {
		at := slices.IndexFunc(results, func(result kgo.ProduceResult) bool { return result.Record == record })
		if err := results[at].Err; err != nil {
			return nil, err
		}
		offsets[i] = record.Offset
	}
	return offsets, nil
}

func (c *client) ProduceMany(ctx context.Context, how agent.Producing, count int, record func(int) agent.Record) (int, error) {
	producer, err := c.open(producing(how, batchBytesDefault)...)
	if err != nil {
		return 0, err
	}
	defer producer.Close()
	var acknowledged atomic.Int64
	// Produce blocks while kgo's buffer is full: that bounds the memory.
	for i := range count {
		producer.Produce(ctx, written(record(i)), func(_ *kgo.Record, err error) {
			if err == nil {
				acknowledged.Add(1)
			}
		})
	}
	if err := producer.Flush(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return int(acknowledged.Load()), err
	}
	return int(acknowledged.Load()), nil
}

func written(record agent.Record) *kgo.Record {
	out := &kgo.Record{Topic: record.Topic, Partition: record.Partition, Key: record.Key, Value: record.Value}
	for _, header := range record.Headers {
		out.Headers = append(out.Headers, kgo.RecordHeader{Key: header.Name, Value: []byte(header.Value)})
	}
	if record.TimestampMs != nil {
		out.Timestamp = time.UnixMilli(*record.TimestampMs)
	}
	return out
}

func read(record *kgo.Record) agent.Record {
	in := agent.Record{
		Topic: record.Topic, Partition: record.Partition, Offset: record.Offset,
		Key: record.Key, Value: record.Value, TimestampMs: new(record.Timestamp.UnixMilli()),
	}
	for _, header := range record.Headers {
		in.Headers = append(in.Headers, agent.Header{Name: header.Key, Value: string(header.Value)})
	}
	return in
}

func (c *client) Consume(ctx context.Context, topic string, from map[int32]int64, take func(agent.Record) bool) error {
	starts := map[int32]kgo.Offset{}
	for partition, offset := range from {
		starts[partition] = kgo.NewOffset().At(offset)
		if offset == agent.Earliest {
			starts[partition] = kgo.NewOffset().AtStart()
		}
	}
	consumer, err := c.open(
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: starts}),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
	)
	if err != nil {
		return err
	}
	defer consumer.Close()
	for {
		fetches := consumer.PollFetches(ctx)
		for records := fetches.RecordIter(); !records.Done(); {
			if !take(read(records.Next())) {
				return nil
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		if err := fatal(fetches); err != nil {
			return err
		}
	}
}

// fatal is the first error that kgo does not try again after.
func fatal(fetches kgo.Fetches) error {
	for _, each := range fetches.Errors() {
		var broker *kerr.Error
		if errors.As(each.Err, &broker) && !broker.Retriable {
			return each.Err
		}
	}
	return nil
}
