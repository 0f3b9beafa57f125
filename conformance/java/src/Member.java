import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.FencedInstanceIdException;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * A member of a group: a consumer in a thread of its own, which joins, polls and keeps what it receives until it is asked to leave.
 *
 * The consumer belongs to its thread. What others ask of it waits in `asked` until a poll is over; what others may see
 * (`assigned`, `kept`, `rebalances`, `end`) is guarded by this object.
 */
final class Member implements ConsumerRebalanceListener {
  private static final Duration POLL = Duration.ofMillis(100);
  private static final Duration COMMIT = Duration.ofSeconds(5);
  private static final long LEAVE_MS = 15_000;
  private static final int REBALANCE_MS = 10_000;

  private final Consumer<byte[], byte[]> consumer;
  private final List<String> topics;
  private final boolean commits;
  private final Thread thread;
  private final Queue<Runnable> asked = new ConcurrentLinkedQueue<>();
  private final CompletableFuture<Void> left = new CompletableFuture<>();
  private volatile boolean leaving;

  private final TreeSet<String> assigned = new TreeSet<>();
  private List<Map<String, Object>> kept = new ArrayList<>();
  private int rebalances;
  /** Why the member ended by itself; null while it lives. */
  private Throwable end;

  Member(String name, Client client, Request request) {
    int sessionMs = request.number("sessionTimeoutMs");
    Map<String, Object> settings = new HashMap<>();
    settings.put("group.id", request.text("group"));
    settings.put("group.protocol", "classic");
    if (request.has("instanceId")) settings.put("group.instance.id", request.text("instanceId"));
    settings.put("partition.assignment.strategy", assignor(request.text("assignor")).getName());
    settings.put("session.timeout.ms", sessionMs);
    settings.put("heartbeat.interval.ms", sessionMs / 3);
    settings.put("max.poll.interval.ms", REBALANCE_MS);
    settings.put("auto.offset.reset", "earliest");
    settings.put("enable.auto.commit", false);
    settings.put("allow.auto.create.topics", false);
    consumer = new KafkaConsumer<>(client.configs(settings), new ByteArrayDeserializer(), new ByteArrayDeserializer());
    topics = request.texts("topics");
    commits = request.flag("commit");
    thread = new Thread(this::live, name);
    thread.setDaemon(true);
    thread.start();
  }

  private static Class<?> assignor(String name) {
    return switch (name) {
      case "range" -> RangeAssignor.class;
      case "roundrobin" -> RoundRobinAssignor.class;
      case "cooperative-sticky" -> CooperativeStickyAssignor.class;
      default -> throw new IllegalArgumentException("no such assignor: " + name);
    };
  }

  synchronized Map<String, Object> assignment() throws Exception {
    throwEnd();
    return Map.of("partitions", List.copyOf(assigned), "rebalances", rebalances);
  }

  synchronized List<Map<String, Object>> received() throws Exception {
    if (kept.isEmpty()) throwEnd();
    List<Map<String, Object>> taken = kept;
    kept = new ArrayList<>();
    return taken;
  }

  void seek(TopicPartition partition, long offset) throws Exception {
    synchronized (this) {
      throwEnd();
    }
    CompletableFuture<Void> done = new CompletableFuture<>();
    asked.add(
        () -> {
          try {
            consumer.seek(partition, offset);
            done.complete(null);
          } catch (RuntimeException failure) {
            done.completeExceptionally(failure);
          }
        });
    done.get(LEAVE_MS, TimeUnit.MILLISECONDS);
  }

  /** Commits what was received, leaves the group, and returns when that is done. */
  void leave() throws Exception {
    leaving = true;
    left.get(LEAVE_MS, TimeUnit.MILLISECONDS);
  }

  /** The same as the process ends: whatever comes of it. */
  void leaveSoon() {
    leaving = true;
    left.exceptionally(failure -> null).join();
  }

  // The thread's own part.

  private void live() {
    try {
      consumer.subscribe(topics, this);
      while (!leaving) {
        pollOnce();
        if (commits) commit();
      }
      commitTheLast();
      consumer.close();
      left.complete(null);
    } catch (Throwable failure) {
      synchronized (this) {
        end = failure;
        assigned.clear();
      }
      left.completeExceptionally(failure);
      consumer.close();
    }
  }

  private void pollOnce() {
    for (Runnable each = asked.poll(); each != null; each = asked.poll()) each.run();
    try {
      for (ConsumerRecord<byte[], byte[]> record : consumer.poll(POLL)) keep(record);
    } catch (RetriableException | RebalanceInProgressException | CommitFailedException failure) {
      // The next poll asks again; the consumer itself knows how long to wait in between.
    }
  }

  private synchronized void keep(ConsumerRecord<byte[], byte[]> record) {
    Map<String, Object> shown = new HashMap<>();
    shown.put("topic", record.topic());
    shown.put("partition", record.partition());
    shown.put("offset", record.offset());
    shown.put("value", Reading.text(record.value()));
    kept.add(shown);
  }

  /** Commits everything polled. Whether a rebalance came between or the broker was away: the next commit covers it. */
  private boolean commit() {
    try {
      consumer.commitSync(COMMIT);
      return true;
    } catch (FencedInstanceIdException failure) {
      throw failure;
    } catch (RetriableException | RebalanceInProgressException | CommitFailedException failure) {
      return false;
    }
  }

  /** A commit is refused while the group rebalances, and polling is what ends that. */
  private void commitTheLast() {
    long end = System.currentTimeMillis() + LEAVE_MS / 2;
    while (!commit() && System.currentTimeMillis() < end) pollOnce();
  }

  @Override
  public synchronized void onPartitionsAssigned(Collection<TopicPartition> partitions) {
    rebalances++;
    for (TopicPartition partition : partitions) assigned.add(partition.toString());
  }

  @Override
  public synchronized void onPartitionsRevoked(Collection<TopicPartition> partitions) {
    for (TopicPartition partition : partitions) assigned.remove(partition.toString());
  }

  private void throwEnd() throws Exception {
    if (end instanceof Exception failure) throw failure;
    if (end != null) throw new IllegalStateException(end);
  }
}
