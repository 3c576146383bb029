import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** A producer with a transactional id. */
final class Transactional implements AutoCloseable {
    private final KafkaProducer<byte[], byte[]> producer;

    Transactional(String bootstrap, String id) {
        Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("transactional.id", id);
        settings.put("key.serializer", ByteArraySerializer.class);
        settings.put("value.serializer", ByteArraySerializer.class);
        producer = new KafkaProducer<>(settings);
        producer.initTransactions();
    }

    void begin() {
        producer.beginTransaction();
    }

    void send(String topic, List<String> keys) throws Exception {
        List<Future<?>> sent = new ArrayList<>();
        for (String key : keys) {
            sent.add(producer.send(
                new ProducerRecord<>(topic, 0, key.getBytes(), "v".getBytes())));
        }
        producer.flush();
        for (Future<?> one : sent) {
            one.get();
        }
    }

    void sendOffsets(Member member, String topic, long offset) {
        producer.sendOffsetsToTransaction(
            Map.of(new TopicPartition(topic, 0), new OffsetAndMetadata(offset)),
            member.consumer().groupMetadata());
    }

    void end(boolean commit) {
        if (commit) {
            producer.commitTransaction();
        } else {
            producer.abortTransaction();
        }
    }

    @Override
    public void close() {
        producer.close();
    }
}
