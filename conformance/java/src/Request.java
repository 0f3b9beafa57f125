import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.TopicPartition;

/** A request's fields. One that is missing is told by its name. */
final class Request {
  private final JsonObject body;

  Request(JsonObject body) {
    this.body = body;
  }

  String text(String name) {
    return field(name).getAsString();
  }

  /** Null where the field is absent or null. */
  String textOrNull(String name) {
    return has(name) ? body.get(name).getAsString() : null;
  }

  int number(String name) {
    return field(name).getAsInt();
  }

  long longNumber(String name) {
    return field(name).getAsLong();
  }

  boolean flag(String name) {
    return field(name).getAsBoolean();
  }

  boolean has(String name) {
    return body.has(name) && !body.get(name).isJsonNull();
  }

  boolean isNumber(String name) {
    return field(name).getAsJsonPrimitive().isNumber();
  }

  /** The partition that `topic` and `partition` name. */
  TopicPartition topicPartition() {
    return new TopicPartition(text("topic"), number("partition"));
  }

  List<String> texts(String name) {
    return list(name).stream().map(JsonElement::getAsString).toList();
  }

  List<Request> objects(String name) {
    return list(name).stream().map(each -> new Request(each.getAsJsonObject())).toList();
  }

  /** A list of pairs of texts; none where the field is absent. */
  List<String[]> pairs(String name) {
    List<String[]> pairs = new ArrayList<>();
    if (!has(name)) return pairs;
    for (JsonElement each : list(name)) {
      JsonArray pair = each.getAsJsonArray();
      pairs.add(new String[] {pair.get(0).getAsString(), pair.get(1).getAsString()});
    }
    return pairs;
  }

  Map<String, String> textsByName(String name) {
    Map<String, String> texts = new HashMap<>();
    field(name).getAsJsonObject().entrySet().forEach(each -> texts.put(each.getKey(), each.getValue().getAsString()));
    return texts;
  }

  private List<JsonElement> list(String name) {
    return field(name).getAsJsonArray().asList();
  }

  private JsonElement field(String name) {
    if (!has(name)) throw new IllegalArgumentException("the request has no " + name);
    return body.get(name);
  }
}
