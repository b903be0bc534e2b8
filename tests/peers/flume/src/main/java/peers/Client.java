package peers;

import java.io.FileReader;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.flume.Event;
import org.apache.flume.api.RpcClient;
import org.apache.flume.api.RpcClientFactory;
import org.apache.flume.event.EventBuilder;

/**
 * Sends numbered events with Flume's own client: {@code Client PROPERTIES THREADS EVENTS BATCH}. Every event has the headers
 * {@code thread} and {@code n} and the body {@code event THREAD N}; with a batch of 0 each is sent by {@code append}. Prints
 * {@code sent COUNT}, or {@code failed: REASON}, and ends with 0 either way.
 */
public final class Client {
  private Client() {}

  public static void main(String[] args) throws Exception {
    Properties properties = new Properties();
    try (Reader reader = new FileReader(args[0], StandardCharsets.UTF_8)) {
      properties.load(reader);
    }
    int threads = Integer.parseInt(args[1]);
    int events = Integer.parseInt(args[2]);
    int batch = Integer.parseInt(args[3]);
    AtomicLong sent = new AtomicLong();
    List<Thread> running = new ArrayList<>();
    List<String> failures = new ArrayList<>();
    for (int thread = 0; thread < threads; thread++) {
      final int number = thread;
      Thread worker = new Thread(() -> {
        try {
          send(properties, number, events, batch, sent);
        } catch (Throwable failure) {
          synchronized (failures) {
            failures.add(failure.toString().replace('\n', ' '));
          }
        }
      });
      worker.start();
      running.add(worker);
    }
    for (Thread worker : running) {
      worker.join();
    }
    for (String failure : failures) {
      System.out.println("failed: " + failure);
    }
    System.out.println("sent " + sent.get());
    System.exit(0);
  }

  private static void send(Properties properties, int thread, int events, int batch, AtomicLong sent) throws Exception {
    RpcClient client = RpcClientFactory.getInstance(properties);
    try {
      List<Event> pending = new ArrayList<>();
      for (int n = 0; n < events; n++) {
        Map<String, String> headers = new HashMap<>();
        headers.put("thread", Integer.toString(thread));
        headers.put("n", Integer.toString(n));
        Event event = EventBuilder.withBody("event " + thread + " " + n, StandardCharsets.UTF_8, headers);
        if (batch == 0) {
          client.append(event);
          sent.incrementAndGet();
          continue;
        }
        pending.add(event);
        if (pending.size() == batch || n + 1 == events) {
          client.appendBatch(pending);
          sent.addAndGet(pending.size());
          pending.clear();
        }
      }
    } finally {
      client.close();
    }
  }
}
