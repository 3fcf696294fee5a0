package millrace.bench;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Arrays;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.api.common.serialization.Encoder;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.StateBackendOptions;
import org.apache.flink.connector.datagen.source.DataGeneratorSource;
import org.apache.flink.connector.datagen.source.GeneratorFunction;
import org.apache.flink.connector.file.sink.FileSink;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.sink.filesystem.rollingpolicies.OnCheckpointRollingPolicy;
import org.apache.flink.util.Collector;

/**
 * The whole cards pipeline in Apache Flink: two keyed functions with a ring per key, 100 trees, decision, file.
 *
 * <p>Everything is made as cheap for Flink as its programming model allows: one JVM with a local cluster, parallelism
 * 1, object reuse, records that its own POJO serializer knows, payments already parsed in memory (ours reads them from
 * a durable topic), running sums that are subtracted from, a plain tree walker over primitive arrays instead of a call
 * into a library. Output is exactly once through checkpoints, one a second; what is written are the same columns as
 * ours, in fixed-width binary. The rate is that of the second half of the run, when the JIT has compiled what is hot.
 */
public final class FlinkCards {
    private static final long DAY_US = 86_400_000_000L;
    private static final long DELAY_US = 7 * DAY_US;
    private static final long[] WINDOWS_US = {DAY_US, 7 * DAY_US, 30 * DAY_US};

    /** One payment, and after each step what became known of it. */
    public static class Payment {
        public long tx;
        public long at;
        public long customer;
        public long terminal;
        public double amount;
        public long fraud;
        public float[] features = new float[15];
        public double[] values = new double[12];
        public float score;
        public byte action;
    }

    /** Events of one key in order of time; one tail for each window. Positions only grow, the ring is masked. */
    public static class Ring {
        public long[] times = new long[8];
        public double[] inputs = new double[8];
        public long end;
        public long known;
        public long[] tails = new long[3];
        public double[] sums = new double[3];

        void push(long time, double input) {
            if (end - tails[2] == times.length) {
                grow();
            }
            int at = (int) (end & (times.length - 1));
            times[at] = time;
            inputs[at] = input;
            end++;
        }

        private void grow() {
            long[] moreTimes = new long[times.length * 2];
            double[] moreInputs = new double[times.length * 2];
            for (long i = tails[2]; i < end; i++) {
                moreTimes[(int) (i & (moreTimes.length - 1))] = times[(int) (i & (times.length - 1))];
                moreInputs[(int) (i & (moreTimes.length - 1))] = inputs[(int) (i & (times.length - 1))];
            }
            times = moreTimes;
            inputs = moreInputs;
        }

        /** Windows (newest - w, newest]. */
        void advance(long newest) {
            int mask = times.length - 1;
            for (; known < end && times[(int) (known & mask)] <= newest; known++) {
                for (int w = 0; w < 3; w++) {
                    sums[w] += inputs[(int) (known & mask)];
                }
            }
            for (int w = 0; w < 3; w++) {
                for (; tails[w] < known && times[(int) (tails[w] & mask)] <= newest - WINDOWS_US[w]; tails[w]++) {
                    sums[w] -= inputs[(int) (tails[w] & mask)];
                }
            }
        }

        long count(int window) {
            return known - tails[window];
        }
    }

    /** Counts and means of one view; `delay` is how far before the payment its windows end. */
    public static class View extends KeyedProcessFunction<Long, Payment, Payment> {
        private final boolean terminal;
        private transient ValueState<Ring> state;

        View(boolean terminal) {
            this.terminal = terminal;
        }

        @Override
        public void open(OpenContext context) {
            state = getRuntimeContext().getState(new ValueStateDescriptor<>("ring", Ring.class));
        }

        @Override
        public void processElement(Payment payment, Context context, Collector<Payment> out) throws Exception {
            Ring ring = state.value();
            if (ring == null) {
                ring = new Ring();
            }
            ring.push(payment.at, terminal ? payment.fraud : payment.amount);
            ring.advance(terminal ? payment.at - DELAY_US : payment.at);
            int first = terminal ? 6 : 0;
            for (int w = 0; w < 3; w++) {
                long count = ring.count(w);
                payment.values[first + 2 * w] = count;
                payment.values[first + 2 * w + 1] = count == 0 ? 0 : ring.sums[w] / count;
            }
            state.update(ring);
            out.collect(payment);
        }
    }

    /** The model and the decision. Trees lie one after another; a leaf's left child is negative. */
    public static class Score extends RichMapFunction<Payment, Payment> {
        private final String path;
        private transient int[] roots;
        private transient int[] lefts;
        private transient int[] rights;
        private transient int[] inputs;
        private transient float[] conditions;

        Score(String path) {
            this.path = path;
        }

        @Override
        public void open(OpenContext context) throws IOException {
            JsonNode trees = new ObjectMapper().readTree(Path.of(path).toFile())
                    .at("/learner/gradient_booster/model/trees");
            int nodes = 0;
            for (JsonNode tree : trees) {
                nodes += tree.get("left_children").size();
            }
            roots = new int[trees.size()];
            lefts = new int[nodes];
            rights = new int[nodes];
            inputs = new int[nodes];
            conditions = new float[nodes];
            int at = 0;
            for (int t = 0; t < roots.length; t++) {
                roots[t] = at;
                at = readTree(trees.get(t), at);
            }
        }

        private int readTree(JsonNode tree, int root) {
            int count = tree.get("left_children").size();
            for (int n = 0; n < count; n++) {
                int left = tree.get("left_children").get(n).asInt();
                lefts[root + n] = left < 0 ? -1 : root + left;
                rights[root + n] = root + tree.get("right_children").get(n).asInt();
                inputs[root + n] = tree.get("split_indices").get(n).asInt();
                conditions[root + n] = Float.parseFloat(tree.get("split_conditions").get(n).asText());
            }
            return root + count;
        }

        @Override
        public Payment map(Payment payment) {
            float[] features = payment.features;
            long seconds = Math.floorDiv(payment.at, 1_000_000L);
            features[0] = (float) payment.amount;
            features[1] = (Math.floorDiv(seconds, 86400L) + 3) % 7 >= 5 ? 1 : 0;
            features[2] = Math.floorMod(seconds, 86400L) / 3600 <= 6 ? 1 : 0;
            for (int i = 0; i < 12; i++) {
                features[3 + i] = (float) payment.values[i];
            }
            float margin = 0;
            for (int root : roots) {
                int node = root;
                while (lefts[node] >= 0) {
                    node = features[inputs[node]] < conditions[node] ? lefts[node] : rights[node];
                }
                margin += conditions[node];
            }
            payment.score = (float) (1.0 / (1.0 + Math.exp(-margin)));
            payment.action = (byte) (payment.score > 0.9 ? 2 : payment.score > 0.5 ? 1 : 0);
            Progress.count(payment);
            return payment;
        }
    }

    /** All columns of a decision, fixed width. */
    public static class Binary implements Encoder<Payment> {
        private transient ByteBuffer buffer;

        @Override
        public void encode(Payment payment, OutputStream out) throws IOException {
            if (buffer == null) {
                buffer = ByteBuffer.allocate(256);
            }
            buffer.clear();
            buffer.putLong(payment.tx).putLong(payment.at).putLong(payment.customer).putLong(payment.terminal);
            buffer.putDouble(payment.amount).putLong(payment.fraud);
            for (double value : payment.values) {
                buffer.putDouble(value);
            }
            buffer.putFloat(payment.score).put(payment.action);
            out.write(buffer.array(), 0, buffer.position());
        }
    }

    /** The payments, in columns; the cluster lives in this JVM and may look at them. */
    static final class Payments {
        static long[][] columns = new long[5][0];
        static double[] amounts = new double[0];
        static int count;

        static void read(String path, int rows) throws IOException {
            try (BufferedReader lines = Files.newBufferedReader(Path.of(path))) {
                lines.readLine();
                for (String line = lines.readLine(); line != null && count < rows; line = lines.readLine()) {
                    add(line.split(","));
                }
            }
        }

        private static void add(String[] fields) {
            if (count == amounts.length) {
                amounts = Arrays.copyOf(amounts, Math.max(1 << 16, count * 2));
                for (int i = 0; i < columns.length; i++) {
                    columns[i] = Arrays.copyOf(columns[i], amounts.length);
                }
            }
            Instant at = Instant.parse(fields[1]);
            columns[0][count] = Long.parseLong(fields[0]);
            columns[1][count] = at.getEpochSecond() * 1_000_000 + at.getNano() / 1000;
            columns[2][count] = Long.parseLong(fields[2]);
            columns[3][count] = Long.parseLong(fields[3]);
            columns[4][count] = Long.parseLong(fields[5]);
            amounts[count++] = Double.parseDouble(fields[4]);
        }

        static Payment get(long index) {
            int i = (int) index;
            Payment payment = new Payment();
            payment.tx = columns[0][i];
            payment.at = columns[1][i];
            payment.customer = columns[2][i];
            payment.terminal = columns[3][i];
            payment.fraud = columns[4][i];
            payment.amount = amounts[i];
            return payment;
        }
    }

    /** What came out so far, and when. */
    static final class Progress {
        static final float[] scores = new float[Payments.count];
        static final byte[] actions = new byte[Payments.count];
        static int done;
        static long firstNs;
        static long middleNs;
        static long lastNs;

        static void count(Payment payment) {
            scores[(int) payment.tx] = payment.score;
            actions[(int) payment.tx] = payment.action;
            done++;
            if (done == 1) {
                firstNs = System.nanoTime();
            } else if (done == Payments.count / 2) {
                middleNs = System.nanoTime();
            } else if (done == Payments.count) {
                lastNs = System.nanoTime();
            }
        }
    }

    private static Configuration configure(String backend, String folder) {
        Configuration options = new Configuration();
        options.set(StateBackendOptions.STATE_BACKEND, backend.equals("heap") ? "hashmap" : backend);
        options.set(CheckpointingOptions.INCREMENTAL_CHECKPOINTS, backend.equals("rocksdb"));
        options.set(CheckpointingOptions.CHECKPOINTS_DIRECTORY, Path.of(folder, "checkpoints").toUri().toString());
        return options;
    }

    private static void run(String model, String backend, String folder) throws Exception {
        StreamExecutionEnvironment flow = StreamExecutionEnvironment.getExecutionEnvironment(configure(backend, folder));
        flow.setParallelism(1);
        flow.getConfig().enableObjectReuse();
        flow.enableCheckpointing(1000);
        GeneratorFunction<Long, Payment> source = Payments::get;
        flow.fromSource(new DataGeneratorSource<>(source, Payments.count, TypeInformation.of(Payment.class)),
                        WatermarkStrategy.noWatermarks(), "payments")
                .keyBy(payment -> payment.customer)
                .process(new View(false))
                .keyBy(payment -> payment.terminal)
                .process(new View(true))
                .map(new Score(model))
                .sinkTo(FileSink.forRowFormat(
                                new org.apache.flink.core.fs.Path(Path.of(folder, "decisions").toUri()), new Binary())
                        .withRollingPolicy(OnCheckpointRollingPolicy.build())
                        .build());
        flow.execute("cards");
    }

    /** How many of ours and Flink's decisions on the same payments differ, and by how much at most. */
    private static String compare(String path) throws IOException {
        int rows = 0;
        int otherActions = 0;
        double furthest = 0;
        try (BufferedReader lines = Files.newBufferedReader(Path.of(path))) {
            int columns = lines.readLine().split(",").length;
            for (String line = lines.readLine(); line != null; line = lines.readLine(), rows++) {
                String[] fields = line.split(",");
                int tx = Integer.parseInt(fields[0]);
                String action = new String[] {"allow", "review", "block"}[Progress.actions[tx]];
                otherActions += action.equals(fields[columns - 1]) ? 0 : 1;
                furthest = Math.max(furthest, Math.abs(Progress.scores[tx] - Double.parseDouble(fields[columns - 2])));
            }
        }
        return String.format("of %d decisions compared with ours %d differ in the action, scores by %.2g at most",
                rows, otherActions, furthest);
    }

    private static String peakMemory() throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith("VmHWM:")) {
                return Long.parseLong(line.replaceAll("\\D", "")) / 1000 + " MB resident at most";
            }
        }
        return "memory unknown";
    }

    private static double seconds(long ns) {
        return ns / 1e9;
    }

    public static void main(String[] args) throws Exception {
        double jvm = ManagementFactory.getRuntimeMXBean().getUptime() / 1e3;
        String payments = args[0];
        String model = args[1];
        String decisions = args[2];
        String backend = args[3];
        String folder = args[4];
        Payments.read(payments, Integer.parseInt(args[5]));
        long start = System.nanoTime();
        run(model, backend, folder);
        String name = "pipeline.one_core.flink." + backend;
        int half = Payments.count - Payments.count / 2;
        System.out.printf("{\"name\": \"%s\", \"value\": %.6g, \"unit\": \"events/s\"}%n", name,
                half / seconds(Progress.lastNs - Progress.middleNs));
        System.out.printf("{\"name\": \"%s.start_to_first_decision\", \"value\": %.3g, \"unit\": \"s\"}%n", name,
                jvm + seconds(Progress.firstNs - start));
        System.out.printf("{\"name\": \"%s\", \"text\": \"%s; %s; %.1f s from start to the first decision\"}%n", name,
                compare(decisions), peakMemory(), jvm + seconds(Progress.firstNs - start));
    }
}
