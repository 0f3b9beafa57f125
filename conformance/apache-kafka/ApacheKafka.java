import java.io.FileReader;
import java.io.IOException;
import java.io.PrintStream;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.Properties;
import java.util.stream.Stream;
import kafka.server.KafkaConfig;
import kafka.server.KafkaRaftServer;
import kafka.tools.StorageTool;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.utils.AppInfoParser;
import org.apache.kafka.common.utils.Time;

/**
 * One node of Apache Kafka, broker and controller in one, for as long as standard input is open.
 *
 * Formats the data folder when it is new, starts, prints one line "ready VERSION" and waits. The end of standard input stops the
 * node in order: whoever started it cannot die and leave it behind. Where nothing was said before, nobody is there any more who
 * would remove its files, and it does so itself.
 */
public final class ApacheKafka {
  public static void main(String[] args) throws Exception {
    String file = args[0];
    Properties properties = new Properties();
    try (Reader reader = new FileReader(file)) {
      properties.load(reader);
    }
    PrintStream out = System.out;
    // The tool and the broker speak as they like; standard output belongs to the one line.
    System.setOut(System.err);
    if (!Files.exists(Path.of(properties.getProperty("log.dirs"), "meta.properties"))) {
      String[] format = {"format", "--standalone", "--cluster-id", Uuid.randomUuid().toString(), "--config", file};
      if (StorageTool.execute(format, System.err) != 0) System.exit(1);
    }

    KafkaRaftServer server = new KafkaRaftServer(new KafkaConfig(properties), Time.SYSTEM);
    server.startup();
    out.println("ready " + AppInfoParser.getVersion());
    out.flush();

    boolean isAwaited = System.in.read() >= 0;
    while (System.in.read() >= 0) {
    }
    server.shutdown();
    server.awaitShutdown();
    if (!isAwaited) remove(Path.of(file).getParent());
    System.exit(0);
  }

  private static void remove(Path folder) throws IOException {
    try (Stream<Path> all = Files.walk(folder)) {
      for (Path each : all.sorted(Comparator.reverseOrder()).toList()) Files.deleteIfExists(each);
    }
  }
}
