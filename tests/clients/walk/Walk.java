import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Reads logs from many of their offsets on; see walk.py. Walk CLIENT HOST:PORT WALKS */
public final class Walk {
    private static final int AT_ONCE = 6; // logs
    private static final long WAIT_MS = 20_000;

    private static KafkaConsumer<byte[], byte[]> open(String bootstrap, JsonNode walk) {
        Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("key.deserializer", ByteArrayDeserializer.class);
        settings.put("value.deserializer", ByteArrayDeserializer.class);
        settings.put("enable.auto.commit", false);
        settings.put("auto.offset.reset", "none");
        settings.put("isolation.level",
            walk.get("committed").asBoolean() ? "read_committed" : "read_uncommitted");
        settings.put("max.partition.fetch.bytes", walk.get("max_bytes").asInt());
        settings.put("fetch.max.wait.ms", 100);
        return new KafkaConsumer<>(settings);
    }

    private static String go(String bootstrap, JsonNode walk) {
        TopicPartition one = new TopicPartition(walk.get("topic").asText(), 0);
        try (KafkaConsumer<byte[], byte[]> consumer = open(bootstrap, walk)) {
            consumer.assign(List.of(one));
            for (JsonNode read : walk.get("reads")) {
                List<Long> due = new ArrayList<>();
                List<Long> got = new ArrayList<>();
                for (int i = 1; i < read.size(); i++) {
                    due.add(read.get(i).asLong());
                }
                consumer.seek(one, read.get(0).asLong());
                long end = System.currentTimeMillis() + WAIT_MS;
                while (got.size() < due.size() && System.currentTimeMillis() < end) {
                    consumer.poll(Duration.ofMillis(200)).forEach(record -> got.add(record.offset()));
                }
                List<Long> first = got.subList(0, Math.min(got.size(), due.size()));
                if (!first.equals(due)) {
                    return "from " + read.get(0) + " on it got " + first + ", not " + due;
                }
            }
        } catch (Exception error) {
            return error.toString().replaceAll("\\s+", " ");
        }
        return null;
    }

    public static void main(String[] arguments) throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(AT_ONCE);
        for (JsonNode walk : new ObjectMapper().readTree(new File(arguments[2]))) {
            threads.execute(() -> {
                String why = go(arguments[1], walk);
                String name = arguments[0] + " " + walk.get("log").asText();
                System.out.println(why == null ? "ok " + name : "not ok " + name + ": " + why);
            });
        }
        threads.shutdown();
        threads.awaitTermination(1, TimeUnit.HOURS);
        System.exit(0);
    }
}
