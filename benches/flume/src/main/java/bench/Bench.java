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
import java.util.stream.Collectors;
import java.util.stream.LongStream;
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
 * Flume's side of a comparison: does one line of standard input after the other and answers each with one line, what
 * it took or {@code ok}. The commands are those of {@code side.rs}. Nothing is set that differs from Flume's defaults but
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
    long begun = System.nanoTime();
    switch (words[0]) {
      case "file":
        openFile(words[1]);
        return answer(begun, List.of(), List.of());
      case "memory":
        openMemory();
        return "ok";
      case "put": {
        List<long[]> puts = together(number(words[1]), () -> put(number(words[2]), number(words[3])));
        return answer(begun, puts, List.of());
      }
      case "pass":
      case "put-take": {
        int commits = number(words[1]);
        int batch = number(words[2]);
        Future<long[]> producer = threads.submit(() -> put(commits, batch));
        long[] acks = take(commits * batch, batch);
        return answer(begun, List.of(producer.get()), List.of(acks));
      }
      case "drain":
        drain();
        return "ok";
      case "receive":
        receive(number(words[1]));
        return "ok";
      case "take":
        return answer(begun, List.of(), List.of(take(number(words[1]), number(words[2]))));
      case "connect":
        // The third word is for our side: here one request is in flight at a time.
        connect(number(words[1]), words[2]);
        return "ok";
      case "send":
        return answer(begun, List.of(send(number(words[1]), number(words[2]))), List.of());
      default:
        throw new IllegalArgumentException(words[0]);
    }
  }

  private void openFile(String dir) {
    Context context = new Context();
    context.put("checkpointDir", dir + File.separator + "checkpoint");
    context.put("dataDirs", dir + File.separator + "data");
    context.put("capacity", "2000000");
    start(new FileChannel(), context);
  }

  private void openMemory() {
    Context context = new Context();
    context.put("capacity", "10000");
    context.put("transactionCapacity", "1000");
    start(new MemoryChannel(), context);
  }

  private void start(Channel channel, Context context) {
    channel.setName("bench");
    Configurables.configure(channel, context);
    channel.start();
    this.channel = channel;
  }

  /** How long each put took, once its events were made. */
  private long[] put(int commits, int batch) {
    long[] times = new long[commits];
    for (int commit = 0; commit < commits; commit++) {
      List<Event> events = events(batch);
      long begun = System.nanoTime();
      while (inTransaction(() -> events.forEach(channel::put)) < 0) {
        Thread.yield();
      }
      times[commit] = System.nanoTime() - begun;
    }
    return times;
  }

  /** How long each commit of a take took. */
  private long[] take(int events, int batch) {
    LongStream.Builder times = LongStream.builder();
    int taken = 0;
    while (taken < events) {
      int[] found = {0};
      long commit = inTransaction(() -> {
        found[0] = 0;
        while (found[0] < batch && channel.take() != null) {
          found[0]++;
        }
      });
      if (commit >= 0) {
        taken += found[0];
      }
      if (commit >= 0 && found[0] > 0) {
        times.add(commit);
      }
      if (found[0] == 0) {
        // The file channel does not wait for events, as a sink's runner does.
        LockSupport.parkNanos(50_000);
      }
    }
    return times.build().toArray();
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

  /** How long the commit took; less than nothing if it was refused, as by a full channel after its own waiting time. */
  private long inTransaction(Runnable work) {
    Transaction transaction = channel.getTransaction();
    transaction.begin();
    try {
      work.run();
      long begun = System.nanoTime();
      transaction.commit();
      return System.nanoTime() - begun;
    } catch (org.apache.flume.ChannelException full) {
      transaction.rollback();
      return -1;
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

  /** How long each call took. */
  private long[] send(int lists, int list) throws Exception {
    long[] times = new long[lists];
    for (int number = 0; number < lists; number++) {
      List<Event> events = events(list);
      long begun = System.nanoTime();
      client.appendBatch(events);
      times[number] = System.nanoTime() - begun;
    }
    return times;
  }

  /** New events, of one array: an event of Flume's is an object, its body is not copied. */
  private static List<Event> events(int number) {
    List<Event> events = new ArrayList<>(number);
    for (int event = 0; event < number; event++) {
      events.add(EventBuilder.withBody(BYTES));
    }
    return events;
  }

  private List<long[]> together(int number, Callable<long[]> work) throws Exception {
    List<long[]> times = new ArrayList<>();
    for (Future<long[]> done : threads.invokeAll(java.util.Collections.nCopies(number, work))) {
      times.add(done.get());
    }
    return times;
  }

  private static String answer(long begun, List<long[]> puts, List<long[]> acks) {
    double seconds = (System.nanoTime() - begun) / 1e9;
    return seconds + "|" + micros(puts) + "|" + micros(acks);
  }

  private static String micros(List<long[]> times) {
    LongStream all = times.stream().flatMapToLong(Arrays::stream);
    return all.mapToObj(nanos -> Double.toString(nanos / 1e3)).collect(Collectors.joining(" "));
  }

  private static int number(String text) {
    return Integer.parseInt(text);
  }
}
