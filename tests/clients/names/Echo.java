import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** usage: Echo ADDRESS NAME IN OUT: the Java client as a service that knows nothing of Tidings. */
public class Echo {
    public static void main(String[] words) {
        Map<String, Object> reads = new java.util.HashMap<>(Map.of("bootstrap.servers", words[0], "client.id", words[1],
            "group.id", words[1], "auto.offset.reset", "earliest", "auto.commit.interval.ms", 200));
        if (System.getenv("GROUP_PROTOCOL") != null) {
            reads.put("group.protocol", System.getenv("GROUP_PROTOCOL"));
        }
        Map<String, Object> writes = Map.of("bootstrap.servers", words[0], "client.id", words[1]);
        try (var reader = new KafkaConsumer<>(reads, new ByteArrayDeserializer(), new ByteArrayDeserializer());
             var writer = new KafkaProducer<>(writes, new ByteArraySerializer(), new ByteArraySerializer())) {
            reader.subscribe(List.of(words[2]));
            while (true) {
                for (var event : reader.poll(Duration.ofMillis(100))) {
                    writer.send(new ProducerRecord<>(words[3], event.value()));
                }
            }
        }
    }
}
