import java.util.Map;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.errors.ApiException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.UnknownServerException;
import org.apache.kafka.common.protocol.Errors;

/** Errors of the library under Kafka's own names of them. */
final class Failure {
  /** What is no error of Kafka's. */
  private static final String CLIENT = "CLIENT";

  static Map<String, String> describe(Throwable failure) {
    Throwable cause = unwrap(failure);
    String message = cause.getMessage() == null ? "" : cause.getMessage();
    return Map.of("code", codeOf(cause), "message", cause.getClass().getSimpleName() + ": " + message);
  }

  /** The error itself, without the futures that it came through. */
  static Throwable unwrap(Throwable failure) {
    Throwable cause = failure;
    while ((cause instanceof ExecutionException || cause instanceof CompletionException) && cause.getCause() != null) {
      cause = cause.getCause();
    }
    // A wait for metadata that ended says what the broker answered all the time: that is the reason, not the time.
    if (cause instanceof TimeoutException && cause.getCause() instanceof ApiException) return cause.getCause();
    if (cause.getClass() == KafkaException.class && cause.getCause() instanceof ApiException) return cause.getCause();
    return cause;
  }

  static String codeOf(Throwable cause) {
    if (!(cause instanceof ApiException)) {
      return cause instanceof java.util.concurrent.TimeoutException ? Errors.REQUEST_TIMED_OUT.name() : CLIENT;
    }
    Errors error = Errors.forException(cause);
    return error == Errors.UNKNOWN_SERVER_ERROR && !(cause instanceof UnknownServerException) ? CLIENT : error.name();
  }
}
