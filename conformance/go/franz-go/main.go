// The agent of franz-go: one admin client for as long as the agent lives, and a client of its own for everything that is
// produced, consumed or joined, since that is how kgo is configured.
package main

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"tidelog/conformance/agent"
)

func main() {
	agent.Serve("franz-go", agent.ModuleVersion("github.com/twmb/franz-go"), &client{})
}

type client struct {
	bootstrap string
	admin     *kadm.Client
}

func (c *client) Connect(bootstrap string) { c.bootstrap = bootstrap }

func (c *client) Close() {
	if c.admin != nil {
		c.admin.Close()
	}
}

func (c *client) open(opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(c.bootstrap),
		kgo.RetryBackoffFn(agent.Backoff),
		kgo.MetadataMinAge(250 * time.Millisecond),
	}, opts...)...)
}

func (c *client) adm() *kadm.Client {
	if c.admin == nil {
		// Options that never change cannot be wrong at one time only.
		// What was asked a moment ago is asked again: kgo keeps answers for that long.
		opened, err := c.open(kgo.MetadataMinAge(10 * time.Millisecond))
		if err != nil {
			panic(err)
		}
		c.admin = kadm.NewClient(opened)
	}
	return c.admin
}

func (c *client) CreateTopic(ctx context.Context, topic string, partitions int32, configs map[string]string) error {
	values := map[string]*string{}
	for name, value := range configs {
		values[name] = &value
	}
	_, err := c.adm().CreateTopic(ctx, partitions, 1, values, topic)
	return err
}

func (c *client) PartitionsOf(ctx context.Context, topic string) (int32, error) {
	topics, err := c.adm().ListTopicsWithInternal(ctx, topic)
	if err != nil {
		return 0, err
	}
	detail := topics[topic]
	return int32(len(detail.Partitions)), detail.Err
}

func (c *client) CreatePartitions(ctx context.Context, topic string, total int32) error {
	made, err := c.adm().UpdatePartitions(ctx, int(total), topic)
	if err != nil {
		return err
	}
	return made[topic].Err
}

func (c *client) AlterConfigs(ctx context.Context, topic string, set map[string]string) error {
	var alter []kadm.AlterConfig
	for name, value := range set {
		alter = append(alter, kadm.AlterConfig{Op: kadm.SetConfig, Name: name, Value: &value})
	}
	altered, err := c.adm().AlterTopicConfigs(ctx, alter, topic)
	if err != nil {
		return err
	}
	_, err = altered.On(topic, func(response *kadm.AlterConfigsResponse) error { return response.Err })
	return err
}

func (c *client) DescribeConfigs(ctx context.Context, topic string, _ []string) (map[string]agent.Config, error) {
	described, err := c.adm().DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return nil, err
	}
	resource, err := described.On(topic, nil)
	if err != nil || resource.Err != nil {
		return nil, errors.Join(err, resource.Err)
	}
	configs := map[string]agent.Config{}
	for _, each := range resource.Configs {
		configs[each.Key] = agent.Config{Value: each.Value, IsDefault: each.Source.String() != "DYNAMIC_TOPIC_CONFIG"}
	}
	return configs, nil
}

func (c *client) DeleteRecords(ctx context.Context, topic string, partition int32, before int64) error {
	offsets := kadm.Offsets{}
	offsets.AddOffset(topic, partition, before, -1)
	deleted, err := c.adm().DeleteRecords(ctx, offsets)
	if err != nil {
		return err
	}
	return deleted[topic][partition].Err
}

func (c *client) DeleteTopic(ctx context.Context, topic string) error {
	_, err := c.adm().DeleteTopic(ctx, topic)
	return err
}

func (c *client) Offset(ctx context.Context, topic string, partition int32, timeMs int64) (int64, error) {
	var listed kadm.ListedOffsets
	var err error
	switch timeMs {
	case agent.Earliest:
		listed, err = c.adm().ListStartOffsets(ctx, topic)
	case agent.Latest:
		listed, err = c.adm().ListEndOffsets(ctx, topic)
	default:
		listed, err = c.adm().ListOffsetsAfterMilli(ctx, timeMs, topic)
	}
	if err != nil {
		return -1, err
	}
	if listed[topic][-1].Err != nil {
		return -1, listed[topic][-1].Err
	}
	found, has := listed[topic][partition]
	if !has {
		return -1, kerr.UnknownTopicOrPartition
	}
	// kadm turns "none" into the end of the log, which has no time.
	if timeMs >= 0 && found.Timestamp == -1 {
		return -1, found.Err
	}
	return found.Offset, found.Err
}

func (c *client) Commit(ctx context.Context, group, topic string, partition int32, offset int64, metadata string) error {
	offsets := kadm.Offsets{}
	offsets.Add(kadm.Offset{Topic: topic, Partition: partition, At: offset, LeaderEpoch: -1, Metadata: metadata})
	return patiently(ctx, func() error {
		committed, err := c.adm().CommitOffsets(ctx, group, offsets)
		if err != nil {
			return err
		}
		return committed.Error()
	})
}

func (c *client) Committed(ctx context.Context, group, topic string, partition int32) (offset int64, metadata string, err error) {
	err = patiently(ctx, func() error {
		offset, metadata = -1, ""
		fetched, err := c.adm().FetchOffsets(ctx, group)
		if err != nil {
			return err
		}
		if committed, has := fetched.Lookup(topic, partition); has {
			offset, metadata = committed.At, committed.Metadata
			return committed.Err
		}
		return nil
	})
	return offset, metadata, err
}

func (c *client) DescribeGroup(ctx context.Context, group string) (state string, members int, err error) {
	err = patiently(ctx, func() error {
		described, err := c.adm().DescribeGroups(ctx, group)
		if err != nil {
			return err
		}
		found := described[group]
		state, members = found.State, len(found.Members)
		return found.Err
	})
	return state, members, err
}

func (c *client) ListGroups(ctx context.Context) (groups []string, err error) {
	err = patiently(ctx, func() error {
		listed, err := c.adm().ListGroups(ctx)
		groups = listed.Groups()
		return err
	})
	return groups, err
}

func (c *client) DeleteGroup(ctx context.Context, group string) error {
	return patiently(ctx, func() error {
		_, err := c.adm().DeleteGroup(ctx, group)
		return err
	})
}

// patiently asks a coordinator that may not be there yet, which kadm leaves to its user: a fresh Apache Kafka makes the topic
// of offsets when it is first asked for a coordinator.
func patiently(ctx context.Context, ask func() error) error {
	for attempt := 1; ; attempt++ {
		err := ask()
		if !isPassing(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(agent.Backoff(attempt)):
		}
	}
}

func isPassing(err error) bool {
	return errors.Is(err, kerr.CoordinatorNotAvailable) || errors.Is(err, kerr.CoordinatorLoadInProgress) || errors.Is(err, kerr.NotCoordinator)
}
