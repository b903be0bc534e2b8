package bench;

import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.locks.LockSupport;
import org.apache.flume.Channel;
import org.apache.flume.ChannelSelector;
import org.apache.flume.Context;
import org.apache.flume.Event;
import org.apache.flume.Transaction;
import org.apache.flume.api.RpcClient;
import org.apache.flume.api.RpcClientFactory;
import org.apache.flume.channel.ChannelProcessor;
import org.apache.flume.channel.MemoryChannel;
import org.apache.flume.channel.ReplicatingChannelSelector;
import org.apache.flume.channel.file.FileChannel;
import org.apache.flume.conf.Configurables;
import org.apache.flume.event.EventBuilder;
import org.apache.flume.source.AvroSource;

/**
 * Flume's side of a comparison: does one line of standard input after the other and answers each with one line, the seconds
 * that it took or {@code ok}. The commands are those of {@code side.rs}. Nothing is set that differs from Flume's defaults but
 * sizes.
 */
public final class Bench {
  private static final int BODY = 500;
  private static final byte[] BYTES = new byte[BODY];

  private final ExecutorService threads = Executors.newCachedThreadPool(work -> {
    Thread thread = new Thread(work);
    thread.setDaemon(true);
    return thread;
  });
  private Channel channel;
  private RpcClient client;

  private Bench() {}

  public static void main(String[] args) throws Exception {
    Arrays.fill(BYTES, (byte) 'x');
    Bench bench = new Bench();
    BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = commands.readLine(); line != null; line = commands.readLine()) {
      System.out.println(bench.obey(line.split(" ")));
      System.out.flush();
    }
    // As a crash would leave it.
    Runtime.getRuntime().halt(0);
  }

  private String obey(String[] words) throws Exception {
    switch (words[0]) {
      case "file":
        return seconds(() -> openFile(words[1]));
      case "memory":
        return seconds(this::openMemory);
      case "put": {
        int producers = number(words[1]);
        return seconds(() -> together(producers, () -> put(number(words[2]), number(words[3]))));
      }
      case "put-take": {
        int commits = number(words[1]);
        int batch = number(words[2]);
        return seconds(() -> {
          Future<Void> producer = threads.submit(() -> put(commits, batch));
          take(commits * batch, batch);
          producer.get();
          return null;
        });
      }
      case "drain":
        drain();
        return "ok";
      case "receive":
        receive(number(words[1]));
        return "ok";
      case "take":
        return seconds(() -> take(number(words[1]), number(words[2])));
      case "connect":
        // The third word is for our side: here one request is in flight at a time.
        connect(number(words[1]), words[2]);
        return "ok";
      case "send":
        return seconds(() -> send(number(words[1]), number(words[2])));
      default:
        throw new IllegalArgumentException(words[0]);
    }
  }

  private Void openFile(String dir) {
    Context context = new Context();
    context.put("checkpointDir", dir + File.separator + "checkpoint");
    context.put("dataDirs", dir + File.separator + "data");
    context.put("capacity", "2000000");
    return start(new FileChannel(), context);
  }

  private Void openMemory() {
    Context context = new Context();
    context.put("capacity", "10000");
    context.put("transactionCapacity", "1000");
    return start(new MemoryChannel(), context);
  }

  private Void start(Channel channel, Context context) {
    channel.setName("bench");
    Configurables.configure(channel, context);
    channel.start();
    this.channel = channel;
    return null;
  }

  private Void put(int commits, int batch) {
    for (int commit = 0; commit < commits; commit++) {
      List<Event> events = events(batch);
      while (!inTransaction(() -> events.forEach(channel::put))) {
        Thread.yield();
      }
    }
    return null;
  }

  private Void take(int events, int batch) {
    int taken = 0;
    while (taken < events) {
      int[] found = {0};
      boolean done = inTransaction(() -> {
        found[0] = 0;
        while (found[0] < batch && channel.take() != null) {
          found[0]++;
        }
      });
      if (done) {
        taken += found[0];
      }
      if (found[0] == 0) {
        // The file channel does not wait for events, as a sink's runner does.
        LockSupport.parkNanos(50_000);
      }
    }
    return null;
  }

  private void drain() {
    int[] found = {1};
    while (found[0] > 0) {
      inTransaction(() -> {
        found[0] = 0;
        while (found[0] < 1000 && channel.take() != null) {
          found[0]++;
        }
      });
    }
  }

  /** Whether it was committed; a full channel refuses after its own waiting time. */
  private boolean inTransaction(Runnable work) {
    Transaction transaction = channel.getTransaction();
    transaction.begin();
    try {
      work.run();
      transaction.commit();
      return true;
    } catch (org.apache.flume.ChannelException full) {
      transaction.rollback();
      return false;
    } finally {
      transaction.close();
    }
  }

  private void receive(int port) {
    AvroSource source = new AvroSource();
    source.setName("bench");
    ChannelSelector selector = new ReplicatingChannelSelector();
    selector.setChannels(List.of(channel));
    source.setChannelProcessor(new ChannelProcessor(selector));
    Context context = new Context();
    context.put("bind", "127.0.0.1");
    context.put("port", Integer.toString(port));
    Configurables.configure(source, context);
    source.start();
  }

  private void connect(int port, String batch) {
    Properties properties = new Properties();
    properties.put("client.type", "default");
    properties.put("hosts", "h");
    properties.put("hosts.h", "127.0.0.1:" + port);
    properties.put("batch-size", batch);
    client = RpcClientFactory.getInstance(properties);
  }

  private Void send(int lists, int list) throws Exception {
    for (int number = 0; number < lists; number++) {
      client.appendBatch(events(list));
    }
    return null;
  }

  /** New events, of one array: an event of Flume's is an object, its body is not copied. */
  private static List<Event> events(int number) {
    List<Event> events = new ArrayList<>(number);
    for (int event = 0; event < number; event++) {
      events.add(EventBuilder.withBody(BYTES));
    }
    return events;
  }

  private Void together(int number, Callable<Void> work) throws Exception {
    for (Future<Void> done : threads.invokeAll(java.util.Collections.nCopies(number, work))) {
      done.get();
    }
    return null;
  }

  private static String seconds(Callable<Void> work) throws Exception {
    long begun = System.nanoTime();
    work.call();
    return Double.toString((System.nanoTime() - begun) / 1e9);
  }

  private static int number(String text) {
    return Integer.parseInt(text);
  }
}
