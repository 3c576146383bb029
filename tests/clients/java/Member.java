import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;

/** A consumer: a member of a group, or a reader of one partition. */
final class Member implements AutoCloseable {
    private final Consumer<byte[], byte[]> consumer;

    Member(Map<String, Object> settings) {
        consumer = new KafkaConsumer<>(settings);
    }

    Consumer<byte[], byte[]> consumer() {
        return consumer;
    }

    List<Item> poll() {
        List<Item> items = new ArrayList<>();
        consumer.poll(Duration.ofMillis(100)).forEach(record -> items.add(asItem(record)));
        return items;
    }

    private static Item asItem(ConsumerRecord<byte[], byte[]> record) {
        List<Map.Entry<String, String>> headers = new ArrayList<>();
        for (Header header : record.headers()) {
            headers.add(Map.entry(header.key(), new String(header.value())));
        }
        return new Item(record.partition(), record.offset(), record.key(), record.value(), headers,
            record.timestamp());
    }

    Set<TopicPartition> assignment() {
        return consumer.assignment();
    }

    void commit(String topic, int partition, long offset) {
        consumer.commitSync(Map.of(new TopicPartition(topic, partition),
            new OffsetAndMetadata(offset, "by the scenario")));
    }

    @Override
    public void close() {
        consumer.close();
    }
}
