import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.utils.AppInfoParser;

/**
 * The agent of kafka-clients: one source, compiled and run against each pinned version. PROTOCOL.md says what it speaks.
 *
 * A request is a line of standard input, answered by a line of standard output before the next is read. The end of standard input
 * closes everything and ends the process.
 */
public final class Agent {
  /** One verb: what it answers becomes the object under "ok". */
  private interface Verb {
    Object run(Request request) throws Exception;
  }

  private static final Gson JSON = new GsonBuilder().serializeNulls().disableHtmlEscaping().create();
  /** What closing everything may take when standard input has ended. */
  private static final long CLOSE_MS = 4_000;

  private final Map<String, Verb> verbs = new HashMap<>();
  private Client client;

  public static void main(String[] args) throws Exception {
    PrintStream answers = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
    // Nothing that a library prints may get among the answers.
    System.setOut(System.err);
    Agent agent = new Agent();
    BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = requests.readLine(); line != null; line = requests.readLine()) {
      answers.print(agent.answer(line) + "\n");
      answers.flush();
    }
    agent.close();
    // Not exit(): a thread of a client that waits for a broker must not hold the process.
    Runtime.getRuntime().halt(0);
  }

  private Agent() {
    verbs.put("hello", this::hello);
  }

  private Object hello(Request request) {
    client = new Client(request.text("bootstrap"));
    Topics topics = new Topics(client);
    verbs.put("createTopic", topics::create);
    verbs.put("describeTopic", topics::describe);
    verbs.put("createPartitions", topics::createPartitions);
    verbs.put("alterConfigs", topics::alterConfigs);
    verbs.put("describeConfigs", topics::describeConfigs);
    verbs.put("deleteRecords", topics::deleteRecords);
    verbs.put("deleteTopic", topics::delete);
    Writing writing = new Writing(client);
    verbs.put("produce", writing::produce);
    verbs.put("produceMany", writing::produceMany);
    Reading reading = new Reading(client);
    verbs.put("consume", reading::consume);
    verbs.put("countAll", reading::countAll);
    verbs.put("offsets", reading::offsets);
    Groups groups = new Groups(client);
    verbs.put("join", groups::join);
    verbs.put("assignment", groups::assignment);
    verbs.put("received", groups::received);
    verbs.put("seek", groups::seek);
    verbs.put("leave", groups::leave);
    verbs.put("commit", groups::commit);
    verbs.put("committed", groups::committed);
    verbs.put("describeGroup", groups::describe);
    verbs.put("listGroups", groups::list);
    verbs.put("deleteGroup", groups::delete);
    return Map.of("client", "kafka-clients", "version", AppInfoParser.getVersion());
  }

  private String answer(String line) {
    JsonObject answer = new JsonObject();
    try {
      JsonObject body = JsonParser.parseString(line).getAsJsonObject();
      answer.add("id", body.get("id"));
      Request request = new Request(body);
      Verb verb = verbs.get(request.text("do"));
      if (verb == null) throw new IllegalArgumentException("no such verb: " + request.text("do"));
      answer.add("ok", JSON.toJsonTree(verb.run(request)));
    } catch (Throwable failure) {
      answer.add("error", JSON.toJsonTree(Failure.describe(failure)));
    }
    return JSON.toJson(answer);
  }

  /** Closes members first, all at once: leaving a group takes a round trip or two. */
  private void close() throws InterruptedException {
    if (client == null) return;
    List<Thread> closing = client.closers().stream().map(Thread::new).toList();
    for (Thread thread : closing) {
      thread.setDaemon(true);
      thread.start();
    }
    long end = System.currentTimeMillis() + CLOSE_MS;
    for (Thread thread : closing) thread.join(Math.max(1, end - System.currentTimeMillis()));
  }
}
