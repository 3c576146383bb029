import java.io.IOException;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * A member of a group of the new protocol (KIP-848) that commits after each `batch` events, when
 * partitions are taken away, and at the end. It needs the Java client of Kafka 4. Options, history
 * lines and exit codes are those of campaign-client's mode `consume` (client.h, history.py).
 */
public final class Consume extends Recorder implements ConsumerRebalanceListener {
    private static final Duration END = Duration.ofSeconds(10);

    private final KafkaConsumer<String, String> consumer;
    /** Next offsets, of what is assigned: partitions come and go one by one. */
    private final Map<TopicPartition, Long> positions = new HashMap<>();
    private int sinceCommit;

    public static void main(String[] arguments) throws Exception {
        Consume member = new Consume(arguments);
        member.run();
        member.commit();
        try {
            member.consumer.close(END);
        } catch (KafkaException error) {
            member.say("close", error);
        }
        System.exit(0);
    }

    private Consume(String[] arguments) throws IOException {
        super(arguments);
        Map<String, Object> settings = new HashMap<>(Map.of(
            "bootstrap.servers", option("bootstrap"), "client.id", option("process"),
            "group.id", option("group"), "group.protocol", "consumer",
            "isolation.level", option("isolation"), "enable.auto.commit", "false",
            "auto.offset.reset", "none", "reconnect.backoff.max.ms", "500",
            "request.timeout.ms", "10000", "default.api.timeout.ms", "10000"));
        settings.put("max.poll.records", option("batch"));
        settings.put("key.deserializer", StringDeserializer.class);
        settings.put("value.deserializer", StringDeserializer.class);
        consumer = new KafkaConsumer<>(settings);
    }

    private void run() {
        consumer.subscribe(List.of(option("topics").split(",")), this);
        while (!stopping()) {
            try {
                consumer.poll(Duration.ofMillis(100)).forEach(this::take);
            } catch (KafkaException error) {
                say("poll", error);
            }
            if (sinceCommit >= number("batch")) {
                commit();
            }
        }
    }

    private void take(ConsumerRecord<String, String> record) {
        logSeen(record);
        positions.put(new TopicPartition(record.topic(), record.partition()), record.offset() + 1);
        count(1);
        sinceCommit++;
    }

    private void commit() {
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        positions.forEach((at, offset) -> offsets.put(at, new OffsetAndMetadata(offset)));
        sinceCommit = 0;
        positions.forEach((at, offset) -> logOffset("asked", at, offset));
        try {
            consumer.commitSync(offsets);
            positions.forEach((at, offset) -> logOffset("stored", at, offset));
        } catch (KafkaException error) {
            say("commit", error);
        }
    }

    private void logOffset(String kind, TopicPartition at, long offset) {
        log("%s %s %s %d %d", kind, option("group"), at.topic(), at.partition(), offset);
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        commit();
        onPartitionsLost(partitions);
    }

    @Override
    public void onPartitionsLost(Collection<TopicPartition> partitions) {
        positions.keySet().removeAll(partitions);
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        Set<TopicPartition> fresh = Set.copyOf(partitions);
        while (!stopping() && !fresh.isEmpty()) {
            long since = System.nanoTime();
            try {
                Map<TopicPartition, OffsetAndMetadata> committed = consumer.committed(fresh);
                fresh.forEach(at -> resume(at, committed.get(at), since));
                return;
            } catch (KafkaException error) {
                say("committed", error);
            }
        }
    }

    private void resume(TopicPartition at, OffsetAndMetadata committed, long since) {
        log("committed %s %s %d %d %d", option("group"), at.topic(), at.partition(),
            committed == null ? -1 : committed.offset(), since);
        long offset = committed == null ? 0 : committed.offset();
        log("start %s %s %d %d %s", option("process"), at.topic(), at.partition(), offset,
            option("isolation"));
        positions.put(at, offset);
        consumer.seek(at, offset);
    }
}
