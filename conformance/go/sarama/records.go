package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"tidelog/conformance/agent"
)

var codecs = map[string]sarama.CompressionCodec{
	"none":   sarama.CompressionNone,
	"gzip":   sarama.CompressionGZIP,
	"snappy": sarama.CompressionSnappy,
	"lz4":    sarama.CompressionLZ4,
	"zstd":   sarama.CompressionZSTD,
}

func producing(how agent.Producing) *sarama.Config {
	conf := config()
	conf.Producer.Partitioner = sarama.NewManualPartitioner
	conf.Producer.Compression = codecs[how.Codec]
	conf.Producer.RequiredAcks = sarama.RequiredAcks(how.Acks)
	conf.Producer.Return.Successes = true
	// 3 times within 300 ms is the default, and over before a broker is back.
	conf.Producer.Retry.Max = 60
	conf.Producer.Retry.Backoff = 250 * time.Millisecond
	if how.Idempotent {
		conf.Producer.Idempotent = true
		conf.Net.MaxOpenRequests = 1
	}
	return conf
}

func (c *client) Produce(_ context.Context, how agent.Producing, records []agent.Record) ([]int64, error) {
	conf := producing(how)
	// This bounds batches, too: it is above its default for large records only.
	for _, record := range records {
		conf.Producer.MaxMessageBytes = max(conf.Producer.MaxMessageBytes, min(len(record.Value)+1024, agent.RequestBytesMax))
	}
	producer, err := sarama.NewSyncProducer([]string{c.bootstrap}, conf)
	if err != nil {
		return nil, named(err)
	}
	defer producer.Close()
	messages := make([]*sarama.ProducerMessage, len(records))
	for i, record := range records {
		messages[i] = written(record)
	}
	if err := producer.SendMessages(messages); err != nil {
		return nil, firstOf(err, messages)
	}
	offsets := make([]int64, len(messages))
	for i, message := range messages {
		offsets[i] = message.Offset
	}
	return offsets, nil
}

// firstOf is the error of the first record that was not taken: sarama gives them in the order in which they failed.
func firstOf(err error, messages []*sarama.ProducerMessage) error {
	var all sarama.ProducerErrors
	if errors.As(err, &all) {
		for _, message := range messages {
			for _, each := range all {
				if each.Msg == message {
					return named(each.Err)
				}
			}
		}
	}
	return named(err)
}

func (c *client) ProduceMany(ctx context.Context, how agent.Producing, count int, record func(int) agent.Record) (int, error) {
	producer, err := sarama.NewAsyncProducer([]string{c.bootstrap}, producing(how))
	if err != nil {
		return 0, named(err)
	}
	acknowledged := 0
	var counting sync.WaitGroup
	counting.Go(func() {
		for range producer.Successes() {
			acknowledged++
		}
	})
	counting.Go(func() {
		for range producer.Errors() {
		}
	})
	for i := 0; i < count && ctx.Err() == nil; i++ {
		select {
		case producer.Input() <- written(record(i)):
		case <-ctx.Done():
		}
	}
	producer.AsyncClose()
	counting.Wait()
	return acknowledged, nil
}

func written(record agent.Record) *sarama.ProducerMessage {
	message := &sarama.ProducerMessage{Topic: record.Topic, Partition: record.Partition}
	if record.Key != nil {
		message.Key = sarama.ByteEncoder(record.Key)
	}
	if record.Value != nil {
		message.Value = sarama.ByteEncoder(record.Value)
	}
	for _, header := range record.Headers {
		message.Headers = append(message.Headers, sarama.RecordHeader{Key: []byte(header.Name), Value: []byte(header.Value)})
	}
	if record.TimestampMs != nil {
		message.Timestamp = time.UnixMilli(*record.TimestampMs)
	}
	return message
}

func read(message *sarama.ConsumerMessage) agent.Record {
	record := agent.Record{
		Topic: message.Topic, Partition: message.Partition, Offset: message.Offset,
		Key: message.Key, Value: message.Value, TimestampMs: new(message.Timestamp.UnixMilli()),
	}
	for _, header := range message.Headers {
		record.Headers = append(record.Headers, agent.Header{Name: string(header.Key), Value: string(header.Value)})
	}
	return record
}

func (c *client) Consume(ctx context.Context, topic string, from map[int32]int64, take func(agent.Record) bool) error {
	conf := config()
	conf.Consumer.Return.Errors = true
	conf.Consumer.Retry.Backoff = 250 * time.Millisecond
	consumer, err := sarama.NewConsumer([]string{c.bootstrap}, conf)
	if err != nil {
		return named(err)
	}
	// It waits for a fetch under way, which is nobody's concern any more.
	defer func() { go consumer.Close() }()
	reading, stop := context.WithCancel(ctx)
	messages, failures := make(chan *sarama.ConsumerMessage), make(chan error)
	defer stop()
	for partition, offset := range from {
		// agent.Earliest is sarama.OffsetOldest.
		claim, err := consumer.ConsumePartition(topic, partition, offset)
		if err != nil {
			return named(err)
		}
		go forward(reading, claim, messages, failures)
	}
	for {
		select {
		case message := <-messages:
			if !take(read(message)) {
				return nil
			}
		case err := <-failures:
			return named(err)
		case <-ctx.Done():
			return nil
		}
	}
}

// forward gives what one partition has until the reading is over, then closes it. Errors that sarama goes on after, it
// keeps to itself; the others close the channel of messages.
func forward(reading context.Context, claim sarama.PartitionConsumer, messages chan<- *sarama.ConsumerMessage, failures chan<- error) {
	defer claim.Close()
	var last error = sarama.ErrClosedClient
	for {
		select {
		case message, open := <-claim.Messages():
			if !open {
				select {
				case failures <- last:
				case <-reading.Done():
				}
				return
			}
			select {
			case messages <- message:
			case <-reading.Done():
				return
			}
		case err, open := <-claim.Errors():
			if open {
				last = err.Err
			}
		case <-reading.Done():
			return
		}
	}
}
