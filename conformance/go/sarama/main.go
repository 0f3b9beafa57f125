// The agent of sarama: a connection of its own for everything that is asked, since sarama's clients do not all come back
// from a broker that was restarted between two requests.
package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"tidelog/conformance/agent"
)

func main() {
	agent.Serve("sarama", agent.ModuleVersion("github.com/IBM/sarama"), &client{})
}

type client struct{ bootstrap string }

func (c *client) Connect(bootstrap string) { c.bootstrap = bootstrap }

func (c *client) Close() {}

// config is sarama's default but for how long it tries. Version is the newest that sarama knows: it bounds what it
// asks for, and below it features such as the second generation of admin requests would stay off.
func config() *sarama.Config {
	conf := sarama.NewConfig()
	conf.Version = sarama.MaxVersion
	conf.Net.DialTimeout = 5 * time.Second
	conf.Net.ReadTimeout = 15 * time.Second
	conf.Net.WriteTimeout = 15 * time.Second
	conf.Admin.Timeout = 10 * time.Second
	conf.Metadata.AllowAutoTopicCreation = false
	conf.Metadata.Retry.Max = 10
	return conf
}

// administer does what is asked with an admin client, and names its errors.
func (c *client) administer(ask func(sarama.ClusterAdmin) error) error {
	admin, err := sarama.NewClusterAdmin([]string{c.bootstrap}, config())
	if err != nil {
		return named(err)
	}
	defer admin.Close()
	return named(ask(admin))
}

// named gives an error of sarama's the name that Kafka has for it.
func named(err error) error {
	var code sarama.KError
	var wrong sarama.ConfigurationError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &code):
		if code == sarama.ErrNoError {
			return nil
		}
		return agent.Failure{Code: agent.CodeName(int16(code)), Message: err.Error()}
	case errors.As(err, &wrong) && strings.Contains(wrong.Error(), "larger than configured Producer.MaxMessageBytes"):
		return agent.Failure{Code: "MESSAGE_TOO_LARGE", Message: err.Error()}
	case errors.Is(err, sarama.ErrInvalidPartition):
		return agent.Failure{Code: "UNKNOWN_TOPIC_OR_PARTITION", Message: err.Error()}
	default:
		return err
	}
}

func (c *client) CreateTopic(_ context.Context, topic string, partitions int32, configs map[string]string) error {
	return c.administer(func(admin sarama.ClusterAdmin) error {
		detail := &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1, ConfigEntries: map[string]*string{}}
		for name, value := range configs {
			detail.ConfigEntries[name] = &value
		}
		return admin.CreateTopic(topic, detail, false)
	})
}

func (c *client) PartitionsOf(_ context.Context, topic string) (partitions int32, err error) {
	err = c.administer(func(admin sarama.ClusterAdmin) error {
		described, err := admin.DescribeTopics([]string{topic})
		if err != nil {
			return err
		}
		for _, each := range described {
			if each.Name == topic && each.Err != sarama.ErrNoError {
				return each.Err
			}
			partitions = int32(len(each.Partitions))
		}
		return nil
	})
	return partitions, err
}

func (c *client) CreatePartitions(_ context.Context, topic string, total int32) error {
	return c.administer(func(admin sarama.ClusterAdmin) error { return admin.CreatePartitions(topic, total, nil, false) })
}

func (c *client) AlterConfigs(_ context.Context, topic string, set map[string]string) error {
	return c.administer(func(admin sarama.ClusterAdmin) error {
		entries := map[string]sarama.IncrementalAlterConfigsEntry{}
		for name, value := range set {
			entries[name] = sarama.IncrementalAlterConfigsEntry{Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value}
		}
		return admin.IncrementalAlterConfig(sarama.TopicResource, topic, entries, false)
	})
}

func (c *client) DescribeConfigs(_ context.Context, topic string, names []string) (map[string]agent.Config, error) {
	configs := map[string]agent.Config{}
	err := c.administer(func(admin sarama.ClusterAdmin) error {
		resource := &sarama.ConfigResource{Type: sarama.TopicResource, Name: topic, ConfigNames: names}
		described, err := admin.DescribeConfigs([]*sarama.ConfigResource{resource}, sarama.DescribeConfigsOptions{})
		if err != nil {
			return err
		}
		for _, each := range described {
			if each.ErrorCode != sarama.ErrNoError {
				return each.ErrorCode
			}
			for _, entry := range each.Configs {
				configs[entry.Name] = agent.Config{Value: &entry.Value, IsDefault: entry.Source != sarama.SourceTopic}
			}
		}
		return nil
	})
	return configs, err
}

func (c *client) DeleteRecords(_ context.Context, topic string, partition int32, before int64) error {
	return c.administer(func(admin sarama.ClusterAdmin) error {
		return admin.DeleteRecords(topic, map[int32]int64{partition: before})
	})
}

func (c *client) DeleteTopic(_ context.Context, topic string) error {
	return c.administer(func(admin sarama.ClusterAdmin) error { return admin.DeleteTopic(topic) })
}

func (c *client) Offset(_ context.Context, topic string, partition int32, timeMs int64) (offset int64, err error) {
	offset = -1
	err = c.administer(func(admin sarama.ClusterAdmin) error {
		listed, err := admin.ListOffsets(map[string]map[int32]int64{topic: {partition: timeMs}}, nil)
		if err != nil {
			return err
		}
		offset = listed[topic][partition].Offset
		return listed[topic][partition].Err
	})
	return offset, err
}

func (c *client) Commit(_ context.Context, group, topic string, partition int32, offset int64, metadata string) error {
	return c.administer(func(admin sarama.ClusterAdmin) error {
		at := sarama.OffsetAndMetadata{Offset: offset, Metadata: metadata, LeaderEpoch: -1}
		committed, err := admin.AlterConsumerGroupOffsets(group, map[string]map[int32]sarama.OffsetAndMetadata{topic: {partition: at}}, nil)
		if err != nil {
			return err
		}
		return committed.Errors[topic][partition]
	})
}

func (c *client) Committed(_ context.Context, group, topic string, partition int32) (offset int64, metadata string, err error) {
	offset = -1
	err = c.administer(func(admin sarama.ClusterAdmin) error {
		fetched, err := admin.ListConsumerGroupOffsets(group, map[string][]int32{topic: {partition}})
		if err != nil {
			return err
		}
		if block := fetched.GetBlock(topic, partition); block != nil {
			offset, metadata = block.Offset, block.Metadata
			return block.Err
		}
		return nil
	})
	return offset, metadata, err
}

func (c *client) DescribeGroup(_ context.Context, group string) (state string, members int, err error) {
	err = c.administer(func(admin sarama.ClusterAdmin) error {
		described, err := admin.DescribeConsumerGroups([]string{group})
		if err != nil {
			return err
		}
		for _, each := range described {
			if each.Err != sarama.ErrNoError {
				return each.Err
			}
			state, members = each.State, len(each.Members)
		}
		return nil
	})
	return state, members, err
}

func (c *client) ListGroups(_ context.Context) (groups []string, err error) {
	err = c.administer(func(admin sarama.ClusterAdmin) error {
		listed, err := admin.ListConsumerGroups()
		for group := range listed {
			groups = append(groups, group)
		}
		return err
	})
	return groups, err
}

func (c *client) DeleteGroup(_ context.Context, group string) error {
	return c.administer(func(admin sarama.ClusterAdmin) error { return admin.DeleteConsumerGroup(group) })
}
