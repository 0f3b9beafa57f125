import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.Collectors;
import java.util.stream.StreamSupport;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs command line tools of Apache Kafka one after the other in one process: a JVM for each would take longer than the tools do.
 *
 * A line of standard input names a main class, its arguments and what it reads: {"main", "args", "input"}. A line of standard output
 * says how it ended: {"exit", "out", "err"}. The tools believe that they have a process of their own: their classes are loaded anew
 * each time, so that nothing static is left over, and their exit ends nothing but themselves.
 */
public final class ToolRunner {
  /** Thrown where a tool exits, so that it goes no further. */
  private static final class Exited extends Error {
    static final String MESSAGE = "the tool exits";

    Exited() {
      super(MESSAGE, null, false, false);
    }
  }

  private static final ObjectMapper JSON = new ObjectMapper();
  /** What a tool does on its way out: close a producer, print a sum. */
  private static final long SHUTDOWN_MS = 5_000;

  public static void main(String[] args) throws Exception {
    PrintStream answers = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
    BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = requests.readLine(); line != null; line = requests.readLine()) {
      JsonNode request = JSON.readTree(line);
      answers.print(JSON.writeValueAsString(run(request)) + "\n");
      answers.flush();
    }
    Runtime.getRuntime().halt(0);
  }

  private static Map<String, Object> run(JsonNode request) throws Exception {
    String[] args =
        StreamSupport.stream(request.get("args").spliterator(), false).map(JsonNode::asText).toArray(String[]::new);
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    System.setIn(new ByteArrayInputStream(request.get("input").asText().getBytes(StandardCharsets.UTF_8)));
    System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
    System.setErr(new PrintStream(err, true, StandardCharsets.UTF_8));
    int exit = call(request.get("main").asText(), args);
    return Map.of("exit", exit, "out", told(out), "err", told(err));
  }

  /** What a tool printed, without our way of ending it: some print everything that they catch. */
  private static String told(ByteArrayOutputStream printed) {
    return printed
        .toString(StandardCharsets.UTF_8)
        .lines()
        .filter(line -> !line.endsWith(Exited.MESSAGE))
        .map(line -> line + "\n")
        .collect(Collectors.joining());
  }

  private static int call(String main, String[] args) throws Exception {
    List<Integer> exits = new CopyOnWriteArrayList<>();
    List<Runnable> hooks = new CopyOnWriteArrayList<>();
    Exit.Procedure exit =
        (status, message) -> {
          exits.add(status);
          if (message != null) System.err.println(message);
          throw new Exited();
        };
    Exit.setExitProcedure(exit);
    Exit.setHaltProcedure(exit);
    Exit.setShutdownHookAdder((name, hook) -> hooks.add(hook));
    try (URLClassLoader tools = new FreshTools()) {
      Thread.currentThread().setContextClassLoader(tools);
      try {
        tools.loadClass(main).getMethod("main", String[].class).invoke(null, (Object) args);
      } catch (InvocationTargetException failure) {
        if (!(failure.getCause() instanceof Exited)) {
          exits.add(1);
          failure.getCause().printStackTrace();
        }
      }
      for (Runnable hook : hooks) {
        Thread thread = new Thread(hook);
        thread.setDaemon(true);
        thread.start();
        thread.join(SHUTDOWN_MS);
      }
    }
    // Some tools catch what ended them and exit once more; the first is what they meant.
    return exits.isEmpty() ? 0 : exits.get(0);
  }

  /** The tools' own classes, loaded for one run. Everything below them is shared. */
  private static final class FreshTools extends URLClassLoader {
    FreshTools() throws MalformedURLException {
      super(classPath(), ToolRunner.class.getClassLoader());
    }

    private static URL[] classPath() throws MalformedURLException {
      List<URL> urls = new ArrayList<>();
      for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
        urls.add(new File(entry).toURI().toURL());
      }
      return urls.toArray(URL[]::new);
    }

    @Override
    protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
      if (!name.startsWith("org.apache.kafka.tools.") && !name.startsWith("kafka.admin.")) {
        return super.loadClass(name, resolve);
      }
      synchronized (getClassLoadingLock(name)) {
        Class<?> loaded = findLoadedClass(name);
        return loaded == null ? findClass(name) : loaded;
      }
    }
  }
}
