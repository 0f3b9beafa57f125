import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.StreamSupport;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Reading what is assigned, in no group: one consumer, assigned anew each time. */
final class Reading {
  private static final Duration POLL = Duration.ofMillis(200);
  private final Client client;
  private Consumer<byte[], byte[]> consumer;

  Reading(Client client) {
    this.client = client;
  }

  Object consume(Request request) {
    TopicPartition partition = request.topicPartition();
    int count = request.number("count");
    long end = System.currentTimeMillis() + request.longNumber("timeoutMs");
    Consumer<byte[], byte[]> consumer = consumer();
    consumer.assign(List.of(partition));
    consumer.seek(partition, request.longNumber("from"));
    List<Map<String, Object>> records = new ArrayList<>();
    while (records.size() < count && System.currentTimeMillis() < end) {
      for (ConsumerRecord<byte[], byte[]> record : consumer.poll(POLL)) {
        if (records.size() < count) records.add(shown(record));
      }
    }
    consumer.unsubscribe();
    return Map.of("records", records);
  }

  Object countAll(Request request) {
    String topic = request.text("topic");
    List<TopicPartition> partitions =
        IntStream.range(0, request.number("partitions")).mapToObj(each -> new TopicPartition(topic, each)).toList();
    int expected = request.number("expected");
    long end = System.currentTimeMillis() + request.longNumber("timeoutMs");
    Consumer<byte[], byte[]> consumer = consumer();
    consumer.assign(partitions);
    consumer.seekToBeginning(partitions);
    int received = 0;
    BitSet distinct = new BitSet();
    while (distinct.cardinality() < expected && System.currentTimeMillis() < end) {
      for (ConsumerRecord<byte[], byte[]> record : consumer.poll(POLL)) {
        String value = text(record.value());
        received++;
        distinct.set(Integer.parseInt(value.substring(0, value.indexOf(':'))));
      }
    }
    consumer.unsubscribe();
    return Map.of("received", received, "distinct", distinct.cardinality());
  }

  /** The ends are asked as an administrator does, a time as a consumer does: both ways are in use. */
  Object offsets(Request request) throws Exception {
    TopicPartition partition = request.topicPartition();
    if (request.isNumber("at")) {
      Map<TopicPartition, Long> times = Map.of(partition, request.longNumber("at"));
      OffsetAndTimestamp found =
          consumer().offsetsForTimes(times, Duration.ofMillis(Client.REQUEST_MS)).get(partition);
      return Map.of("offset", found == null ? -1 : found.offset());
    }
    OffsetSpec end = request.text("at").equals("earliest") ? OffsetSpec.earliest() : OffsetSpec.latest();
    return Map.of("offset", client.admin().listOffsets(Map.of(partition, end)).partitionResult(partition).get().offset());
  }

  private Consumer<byte[], byte[]> consumer() {
    if (consumer == null) {
      Map<String, Object> settings =
          Map.of(
              "allow.auto.create.topics", false,
              "enable.auto.commit", false,
              "auto.offset.reset", "earliest",
              "default.api.timeout.ms", Client.REQUEST_MS,
              "request.timeout.ms", 10_000);
      consumer =
          new KafkaConsumer<>(client.configs(settings), new ByteArrayDeserializer(), new ByteArrayDeserializer());
      client.onClose(() -> consumer.close());
    }
    return consumer;
  }

  private static Map<String, Object> shown(ConsumerRecord<byte[], byte[]> record) {
    Map<String, Object> shown = new HashMap<>();
    shown.put("offset", record.offset());
    shown.put("key", text(record.key()));
    shown.put("value", text(record.value()));
    shown.put("timestamp", record.timestamp());
    shown.put(
        "headers",
        StreamSupport.stream(record.headers().spliterator(), false)
            .map(header -> new String[] {header.key(), text(header.value())})
            .toList());
    return shown;
  }

  static String text(byte[] bytes) {
    return bytes == null ? null : new String(bytes, StandardCharsets.UTF_8);
  }
}
