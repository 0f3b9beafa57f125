import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Producing. A producer is kept for each combination of codec, acks and idempotence. */
final class Writing {
  private static final int RECORD_BYTES_MAX = 8 * 1024 * 1024;
  /** A record is given up before the verb's 20 s are over. */
  private static final int DELIVERY_MS = 18_000;
  private static final int ATTEMPT_MS = 8_000;

  private final Client client;
  private final Map<String, Producer<byte[], byte[]>> producers = new HashMap<>();

  Writing(Client client) {
    this.client = client;
  }

  Object produce(Request request) throws Exception {
    Producer<byte[], byte[]> producer =
        producer(request.text("codec"), request.number("acks"), request.flag("idempotent"));
    List<Future<RecordMetadata>> sent = new ArrayList<>();
    for (Request record : request.objects("records")) sent.add(producer.send(recordOf(request.text("topic"), record)));
    producer.flush();
    List<Long> offsets = new ArrayList<>();
    for (Future<RecordMetadata> each : sent) {
      RecordMetadata taken = each.get();
      offsets.add(taken.hasOffset() ? taken.offset() : -1);
    }
    return Map.of("offsets", offsets);
  }

  Object produceMany(Request request) throws Exception {
    Producer<byte[], byte[]> producer = producer(request.text("codec"), -1, request.flag("idempotent"));
    String topic = request.text("topic");
    int partitions = request.number("partitions");
    int valueBytes = request.number("valueBytes");
    AtomicInteger acknowledged = new AtomicInteger();
    for (int i = 0; i < request.number("count"); i++) {
      // send() waits while the producer's buffer is full: memory stays bounded.
      producer.send(
          new ProducerRecord<>(topic, i % partitions, null, padded(i + ":", valueBytes)),
          (taken, failure) -> {
            if (failure == null) acknowledged.incrementAndGet();
          });
    }
    producer.flush();
    return Map.of("acknowledged", acknowledged.get());
  }

  private Producer<byte[], byte[]> producer(String codec, int acks, boolean idempotent) {
    return producers.computeIfAbsent(
        codec + " " + acks + " " + idempotent,
        name -> {
          Map<String, Object> settings = new HashMap<>();
          settings.put("compression.type", codec);
          settings.put("acks", acks == -1 || idempotent ? "all" : String.valueOf(acks));
          settings.put("enable.idempotence", idempotent);
          settings.put("max.request.size", RECORD_BYTES_MAX);
          settings.put("request.timeout.ms", ATTEMPT_MS);
          settings.put("delivery.timeout.ms", DELIVERY_MS);
          settings.put("max.block.ms", Client.REQUEST_MS);
          Producer<byte[], byte[]> producer =
              new KafkaProducer<>(client.configs(settings), new ByteArraySerializer(), new ByteArraySerializer());
          client.onClose(producer::close);
          return producer;
        });
  }

  private static ProducerRecord<byte[], byte[]> recordOf(String topic, Request record) {
    RecordHeaders headers = new RecordHeaders();
    for (String[] header : record.pairs("headers")) headers.add(header[0], bytes(header[1]));
    byte[] value = record.has("valueBytes") ? padded("", record.number("valueBytes")) : bytes(record.textOrNull("value"));
    Long timestamp = record.has("timestamp") ? record.longNumber("timestamp") : null;
    byte[] key = bytes(record.textOrNull("key"));
    return new ProducerRecord<>(topic, record.number("partition"), timestamp, key, value, headers);
  }

  private static byte[] padded(String start, int bytes) {
    return bytes(start + "x".repeat(Math.max(0, bytes - start.length())));
  }

  private static byte[] bytes(String text) {
    return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
  }
}
