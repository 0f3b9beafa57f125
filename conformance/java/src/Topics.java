import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** Topics and their configs. */
final class Topics {
  private static final Map<String, Object> DONE = Map.of();
  private final Client client;

  Topics(Client client) {
    this.client = client;
  }

  Object create(Request request) throws Exception {
    String topic = request.text("topic");
    NewTopic wanted = new NewTopic(topic, Optional.of(request.number("partitions")), Optional.of((short) 1));
    wanted.configs(request.textsByName("configs"));
    client.admin().createTopics(List.of(wanted)).all().get();
    Client.untilVisible(() -> partitionsOf(topic) == request.number("partitions"));
    return DONE;
  }

  Object describe(Request request) throws Exception {
    String topic = request.text("topic");
    return Map.of(
        "partitions", client.admin().describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size());
  }

  Object createPartitions(Request request) throws Exception {
    String topic = request.text("topic");
    int total = request.number("total");
    client.admin().createPartitions(Map.of(topic, NewPartitions.increaseTo(total))).all().get();
    Client.untilVisible(() -> partitionsOf(topic) == total);
    return DONE;
  }

  Object alterConfigs(Request request) throws Exception {
    ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, request.text("topic"));
    Map<String, String> wanted = request.textsByName("set");
    Collection<AlterConfigOp> changes =
        wanted.entrySet().stream()
            .map(each -> new AlterConfigOp(new ConfigEntry(each.getKey(), each.getValue()), AlterConfigOp.OpType.SET))
            .toList();
    client.admin().incrementalAlterConfigs(Map.of(resource, changes)).all().get();
    Client.untilVisible(
        () -> {
          Config now = configsOf(resource);
          return wanted.entrySet().stream().allMatch(each -> each.getValue().equals(now.get(each.getKey()).value()));
        });
    return DONE;
  }

  Object describeConfigs(Request request) throws Exception {
    Config configs = configsOf(new ConfigResource(ConfigResource.Type.TOPIC, request.text("topic")));
    Map<String, Object> described = new HashMap<>();
    for (String name : request.texts("names")) {
      ConfigEntry entry = configs.get(name);
      if (entry == null) continue;
      Map<String, Object> config = new HashMap<>();
      config.put("value", entry.value());
      config.put("isDefault", entry.source() != ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG);
      described.put(name, config);
    }
    return Map.of("configs", described);
  }

  Object deleteRecords(Request request) throws Exception {
    RecordsToDelete before = RecordsToDelete.beforeOffset(request.longNumber("before"));
    client.admin().deleteRecords(Map.of(request.topicPartition(), before)).all().get();
    return DONE;
  }

  Object delete(Request request) throws Exception {
    String topic = request.text("topic");
    client.admin().deleteTopics(List.of(topic)).all().get();
    Client.untilVisible(() -> partitionsOf(topic) == 0);
    return DONE;
  }

  private Config configsOf(ConfigResource resource) throws Exception {
    return client.admin().describeConfigs(List.of(resource)).all().get().get(resource);
  }

  /** 0 where there is no such topic. */
  private int partitionsOf(String topic) throws Exception {
    try {
      return client.admin().describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size();
    } catch (ExecutionException failure) {
      if (failure.getCause() instanceof UnknownTopicOrPartitionException) return 0;
      throw failure;
    }
  }
}
