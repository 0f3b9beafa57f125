import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Callable;
import org.apache.kafka.clients.admin.Admin;

/** What the verbs share: where the broker is, the admin client, the waits, and what is to be closed in the end. */
final class Client {
  /** Verbs are answered within 20 s; an admin request gives up before. */
  static final int REQUEST_MS = 15_000;
  /** How long the broker's metadata may lag behind what it has acknowledged. */
  private static final long VISIBLE_MS = 4_000;
  private static final long LOOK_AGAIN_MS = 20;

  private final String bootstrap;
  private final List<Runnable> closers = new ArrayList<>();
  private Admin admin;

  Client(String bootstrap) {
    this.bootstrap = bootstrap;
  }

  /** Made at the first use: an agent that only produces has none. */
  Admin admin() {
    if (admin == null) {
      admin = Admin.create(configs(Map.of("default.api.timeout.ms", REQUEST_MS, "request.timeout.ms", 10_000)));
      onClose(admin::close);
    }
    return admin;
  }

  /** Settings for a client of this broker. All else is the library's default. */
  Properties configs(Map<String, ?> settings) {
    Properties configs = new Properties();
    configs.put("bootstrap.servers", bootstrap);
    configs.putAll(settings);
    return configs;
  }

  void onClose(Runnable closer) {
    closers.add(closer);
  }

  List<Runnable> closers() {
    return closers;
  }

  /**
   * Waits until what was acknowledged is visible. An acknowledgement comes from the controller, and the broker hears of it a little
   * later. When that does not come, the next request says so better than this one could.
   */
  static void untilVisible(Callable<Boolean> visible) throws Exception {
    long end = System.currentTimeMillis() + VISIBLE_MS;
    while (!visible.call() && System.currentTimeMillis() < end) Thread.sleep(LOOK_AGAIN_MS);
  }
}
