package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"tidelog/conformance/agent"
)

type place struct {
	topic     string
	partition int32
}

// member runs one session of the group after the other; with a cooperative strategy sarama keeps a single one. Sarama marks
// offsets and commits what is marked, so nothing is marked before it may be committed.
type member struct {
	group sarama.ConsumerGroup
	how   agent.Joining
	inbox *agent.Inbox

	leaving context.Context
	leave   context.CancelFunc
	ended   chan struct{}

	mutex sync.Mutex
	// positions are the offsets after what was received, in this session.
	positions map[place]int64
	// restart is where partitions go on after a seek: sarama reads a position when a session begins and at no other time.
	restart map[place]int64
	// seeking is closed by a seek, and ends the session.
	seeking chan struct{}
	// marked asks for a commit. One is for all partitions: it waits behind the fetch that is under way on the connection.
	marked chan struct{}
}

func (c *client) Join(how agent.Joining, inbox *agent.Inbox) (agent.Member, error) {
	strategy, known := map[string]func() sarama.BalanceStrategy{
		"range":              sarama.NewBalanceStrategyRange,
		"roundrobin":         sarama.NewBalanceStrategyRoundRobin,
		"cooperative-sticky": sarama.NewBalanceStrategyCooperativeSticky,
	}[how.Assignor]
	if !known {
		return nil, fmt.Errorf("no assignor %s", how.Assignor)
	}
	conf := config()
	conf.Consumer.Offsets.Initial = sarama.OffsetOldest
	conf.Consumer.Offsets.AutoCommit.Enable = false
	conf.Consumer.Return.Errors = true
	conf.Consumer.Retry.Backoff = 250 * time.Millisecond
	conf.Consumer.Group.Session.Timeout = how.SessionTimeout
	conf.Consumer.Group.Heartbeat.Interval = agent.HeartbeatInterval(how.SessionTimeout)
	conf.Consumer.Group.Rebalance.Timeout = agent.RebalanceTimeout
	conf.Consumer.Group.Rebalance.Retry.Backoff = 250 * time.Millisecond
	conf.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategy()}
	if how.InstanceID != nil {
		conf.Consumer.Group.InstanceId = *how.InstanceID
	}
	m := &member{how: how, inbox: inbox, ended: make(chan struct{}), seeking: make(chan struct{}), marked: make(chan struct{}, 1)}
	m.leaving, m.leave = context.WithCancel(context.Background())
	go m.run([]string{c.bootstrap}, conf)
	return m, nil
}

// run joins again and again until the member leaves: the broker may be away.
func (m *member) run(bootstrap []string, conf *sarama.Config) {
	defer close(m.ended)
	for m.leaving.Err() == nil {
		group, err := sarama.NewConsumerGroup(bootstrap, m.how.Group, conf)
		if err == nil {
			m.group = group
			break
		}
		m.pause()
	}
	if m.group == nil {
		return
	}
	defer m.group.Close()
	go func() {
		for range m.group.Errors() {
		}
	}()
	for m.leaving.Err() == nil {
		err := m.group.Consume(m.leaving, m.how.Topics, m)
		if ending(err) {
			m.inbox.Failed(named(err))
			return
		}
		if err != nil {
			m.pause()
		}
	}
}

func (m *member) pause() {
	select {
	case <-m.leaving.Done():
	case <-time.After(250 * time.Millisecond):
	}
}

// ending tells the errors after which a member does not come back.
func ending(err error) bool {
	for _, end := range []error{
		sarama.ErrFencedInstancedId, sarama.ErrInconsistentGroupProtocol, sarama.ErrInvalidSessionTimeout, sarama.ErrInvalidGroupId,
		sarama.ErrGroupMaxSizeReached, sarama.ErrGroupAuthorizationFailed, sarama.ErrTopicAuthorizationFailed,
	} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}

// Setup begins a session.
func (m *member) Setup(session sarama.ConsumerGroupSession) error {
	m.mutex.Lock()
	m.positions = map[place]int64{}
	m.seeking = make(chan struct{})
	for at, offset := range m.restart {
		// One of the two applies: back or ahead.
		session.ResetOffset(at.topic, at.partition, offset, "")
		session.MarkOffset(at.topic, at.partition, offset, "")
	}
	m.restart = nil
	m.mutex.Unlock()
	m.inbox.Assigned(session.Claims())
	go m.watch(session)
	go m.commit(session)
	return nil
}

// commit commits what claims have marked, while the session lasts.
func (m *member) commit(session sarama.ConsumerGroupSession) {
	for {
		select {
		case <-session.Context().Done():
			return
		case <-m.marked:
			session.Commit()
		}
	}
}

// watch follows the assignments that a cooperative session goes through; sarama tells a handler of its own claim only.
func (m *member) watch(session sarama.ConsumerGroupSession) {
	generation, had := session.GenerationID(), session.Claims()
	each := time.NewTicker(50 * time.Millisecond)
	defer each.Stop()
	for {
		select {
		case <-session.Context().Done():
			return
		case <-each.C:
			if now := session.GenerationID(); now != generation {
				generation = now
				m.inbox.Revoked(had)
				had = session.Claims()
				m.inbox.Assigned(had)
			} else if claims := session.Claims(); len(claims) != len(had) || fmt.Sprint(claims) != fmt.Sprint(had) {
				m.inbox.Replaced(had, claims)
				had = claims
			}
		}
	}
}

// Cleanup ends a session: all claims have returned. A member that leaves commits what it received, whatever it was to do before.
func (m *member) Cleanup(session sarama.ConsumerGroupSession) error {
	m.inbox.Revoked(session.Claims())
	if m.how.Commit || m.leaving.Err() != nil {
		m.mutex.Lock()
		defer m.mutex.Unlock()
		for at, offset := range m.positions {
			session.MarkOffset(at.topic, at.partition, offset, "")
		}
		session.Commit()
	}
	return nil
}

// batchRecordsMax bounds what is received before it is committed.
const batchRecordsMax = 500

// ConsumeClaim is one partition's: it takes what has come, then has it committed.
func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	m.mutex.Lock()
	seeking := m.seeking
	m.mutex.Unlock()
	for {
		select {
		case <-seeking:
			return nil
		case <-session.Context().Done():
			return nil
		case first, open := <-claim.Messages():
			if !open {
				return nil
			}
			batch := []agent.Record{read(first)}
			for len(batch) < batchRecordsMax && len(claim.Messages()) > 0 {
				if next, open := <-claim.Messages(); open {
					batch = append(batch, read(next))
				}
			}
			m.receive(session, seeking, batch)
		}
	}
}

// receive is done under the mutex, so that a seek comes before a batch or after it.
func (m *member) receive(session sarama.ConsumerGroupSession, seeking chan struct{}, batch []agent.Record) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	select {
	case <-seeking:
		return
	default:
	}
	m.inbox.Received(batch...)
	last := batch[len(batch)-1]
	m.positions[place{last.Topic, last.Partition}] = last.Offset + 1
	if m.how.Commit {
		session.MarkOffset(last.Topic, last.Partition, last.Offset+1, "")
		select {
		case m.marked <- struct{}{}:
		default:
		}
	}
}

// Seek ends the session and begins the next one where this one was, but for one partition: sarama has no other way.
func (m *member) Seek(_ context.Context, topic string, partition int32, offset int64) error {
	if !m.inbox.Has(topic, partition) {
		return fmt.Errorf("%s-%d is not assigned to this member", topic, partition)
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	select {
	case <-m.seeking:
	default:
		m.restart = m.positions
		close(m.seeking)
	}
	m.restart[place{topic, partition}] = offset
	return nil
}

func (m *member) Leave(ctx context.Context) error {
	m.leave()
	select {
	case <-m.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
