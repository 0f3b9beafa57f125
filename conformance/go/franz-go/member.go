package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"tidelog/conformance/agent"
)

// member polls with rebalances held off from a batch's poll to the end of its commit, so that what is committed was received
// by the partition's owner. The mutex keeps seeks out of that span, too.
type member struct {
	kgo     *kgo.Client
	how     agent.Joining
	inbox   *agent.Inbox
	mutex   sync.Mutex
	leaving context.Context
	leave   context.CancelFunc
	ended   chan struct{}
}

func (c *client) Join(how agent.Joining, inbox *agent.Inbox) (agent.Member, error) {
	balancer, known := map[string]kgo.GroupBalancer{
		"range":              kgo.RangeBalancer(),
		"roundrobin":         kgo.RoundRobinBalancer(),
		"cooperative-sticky": kgo.CooperativeStickyBalancer(),
	}[how.Assignor]
	if !known {
		return nil, fmt.Errorf("no assignor %s", how.Assignor)
	}
	m := &member{how: how, inbox: inbox, ended: make(chan struct{})}
	m.leaving, m.leave = context.WithCancel(context.Background())
	opts := []kgo.Opt{
		kgo.ConsumerGroup(how.Group),
		kgo.ConsumeTopics(how.Topics...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.Balancers(balancer),
		kgo.SessionTimeout(how.SessionTimeout),
		kgo.HeartbeatInterval(agent.HeartbeatInterval(how.SessionTimeout)),
		kgo.RebalanceTimeout(agent.RebalanceTimeout),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, added map[string][]int32) { inbox.Assigned(added) }),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, gone map[string][]int32) { inbox.Revoked(gone) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, gone map[string][]int32) { inbox.Revoked(gone) }),
	}
	if how.InstanceID != nil {
		opts = append(opts, kgo.InstanceID(*how.InstanceID))
	}
	opened, err := c.open(opts...)
	if err != nil {
		return nil, err
	}
	m.kgo = opened
	go m.poll()
	return m, nil
}

func (m *member) poll() {
	defer close(m.ended)
	for m.leaving.Err() == nil {
		// Polls are short, for whoever waits for the mutex.
		ctx, cancel := context.WithTimeout(m.leaving, 200*time.Millisecond)
		m.mutex.Lock()
		fetches := m.kgo.PollRecords(ctx, 500)
		cancel()
		var records []agent.Record
		fetches.EachRecord(func(record *kgo.Record) { records = append(records, read(record)) })
		m.inbox.Received(records...)
		if m.how.Commit && len(records) > 0 {
			m.commit()
		}
		m.kgo.AllowRebalance()
		m.mutex.Unlock()
		if err := ending(fetches); err != nil {
			m.inbox.Failed(err)
			m.kgo.Close()
			return
		}
	}
}

// commit commits what was polled. What fails, the next commit covers.
func (m *member) commit() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = m.kgo.CommitUncommittedOffsets(ctx)
}

// endings are the errors after which a member does not come back, though kgo would go on trying.
var endings = []*kerr.Error{
	kerr.FencedInstanceID, kerr.InconsistentGroupProtocol, kerr.InvalidSessionTimeout, kerr.InvalidGroupID,
	kerr.GroupMaxSizeReached, kerr.GroupAuthorizationFailed, kerr.TopicAuthorizationFailed,
}

func ending(fetches kgo.Fetches) error {
	for _, each := range fetches.Errors() {
		for _, end := range endings {
			if errors.Is(each.Err, end) {
				return each.Err
			}
		}
	}
	return nil
}

func (m *member) Seek(_ context.Context, topic string, partition int32, offset int64) error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if !m.inbox.Has(topic, partition) {
		return fmt.Errorf("%s-%d is not assigned to this member", topic, partition)
	}
	m.kgo.SetOffsets(map[string]map[int32]kgo.EpochOffset{topic: {partition: {Epoch: -1, Offset: offset}}})
	return nil
}

func (m *member) Leave(ctx context.Context) error {
	m.leave()
	select {
	case <-m.ended:
	case <-ctx.Done():
		return ctx.Err()
	}
	m.commit()
	err := m.kgo.LeaveGroupContext(ctx)
	m.kgo.CloseAllowingRebalance()
	return err
}
