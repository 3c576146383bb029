import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.FileOutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** A service on the Java client (README.md beside this file); it commits what one poll gave of a partition. */
public final class ForeignService {
    private static final int[] COUNTS = {0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 2, 2};

    private final ObjectMapper json = new ObjectMapper();
    private final String name;
    private final int number;
    private final FileOutputStream truth;
    private final String[] outputs;
    private final KafkaProducer<byte[], byte[]> producer;
    private final KafkaConsumer<byte[], byte[]> consumer;

    private ForeignService(String[] arguments) throws Exception {
        name = arguments[1];
        number = Integer.parseInt(arguments[2]);
        truth = new FileOutputStream(arguments[3], true);
        outputs = arguments[5].split(",");
        producer = new KafkaProducer<>(Map.of("bootstrap.servers", arguments[0], "client.id", name,
            "metadata.max.age.ms", 1000, "key.serializer", ByteArraySerializer.class,
            "value.serializer", ByteArraySerializer.class));
        Map<String, Object> settings = new HashMap<>(Map.of("bootstrap.servers", arguments[0],
            "client.id", name, "group.id", name, "enable.auto.commit", false,
            "auto.offset.reset", "earliest", "session.timeout.ms", 3000,
            "heartbeat.interval.ms", 500, "fetch.max.wait.ms", 50, "metadata.max.age.ms", 1000,
            "max.poll.records", 10));
        settings.put("key.deserializer", ByteArrayDeserializer.class);
        settings.put("value.deserializer", ByteArrayDeserializer.class);
        consumer = new KafkaConsumer<>(settings);
        consumer.subscribe(List.of(arguments[4].split(",")));
    }

    private void tell(String what, String place) throws Exception {
        write(json.createObjectNode().put("e", what).put("at", place));
    }

    private void write(ObjectNode line) throws Exception {
        truth.write((line + "\n").getBytes(StandardCharsets.UTF_8));
    }

    private static String text(ConsumerRecord<byte[], byte[]> of, String header) {
        Header found = of.headers().lastHeader(header);
        return found == null ? null : new String(found.value(), StandardCharsets.UTF_8);
    }

    private static void add(ProducerRecord<byte[], byte[]> to, String header, String value) {
        if (value != null) {
            to.headers().add(header, value.getBytes(StandardCharsets.UTF_8));
        }
    }

    private void addHeaders(ProducerRecord<byte[], byte[]> to, ConsumerRecord<byte[], byte[]> cause,
                            String style, String chain, String token) {
        boolean both = style.equals("both");
        if (style.equals("trace") || both) {
            add(to, "traceparent", String.format("00-%s-%016x-01", chain, System.nanoTime() | 1));
        }
        if (style.equals("trace") || style.equals("plain") || (both && number % 2 == 1)) {
            return;
        }
        String id = text(cause, "ce_id");
        String correlation = text(cause, "ce_correlationid");
        add(to, "ce_specversion", "1.0");
        add(to, "ce_id", token);
        add(to, "ce_source", "/" + name);
        add(to, "ce_type", name + ".did");
        add(to, "ce_causationid", style.equals("correlation") ? null : id);
        add(to, "ce_correlationid",
            style.equals("causes") ? null : correlation == null ? id : correlation);
    }

    private void take(ConsumerRecord<byte[], byte[]> record) throws Exception {
        tell("took", record.topic() + "/" + record.partition() + "/" + record.offset());
        ObjectNode value = (ObjectNode) json.readTree(record.value());
        int hop = value.get("hop").asInt();
        int at = (hop * 7 + number * 3) % 32;
        int digit = Integer.parseInt(value.get("plan").asText().substring(at, at + 1), 16);
        for (int i = 0; hop < 4 && i < COUNTS[digit]; i++) {
            String token = UUID.randomUUID().toString();
            ObjectNode own = value.deepCopy();
            own.put("hop", hop + 1).put("token", token).put("by", name);
            own.set("cause", value.get("token"));
            ProducerRecord<byte[], byte[]> sent = new ProducerRecord<>(
                outputs[(digit + i) % outputs.length], record.key(), json.writeValueAsBytes(own));
            addHeaders(sent, record, value.get("style").asText(), value.get("chain").asText(), token);
            RecordMetadata there = producer.send(sent).get();
            write(json.createObjectNode().put("e", "acked").put("token", token)
                .put("at", there.topic() + "/" + there.partition() + "/" + there.offset())
                .put("ms", System.currentTimeMillis()));
        }
    }

    private void run() throws Exception {
        while (true) {
            ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(200));
            for (TopicPartition partition : records.partitions()) {
                long next = 0;
                for (ConsumerRecord<byte[], byte[]> record : records.records(partition)) {
                    take(record);
                    next = record.offset() + 1;
                }
                String place = partition.topic() + "/" + partition.partition() + "/" + next;
                tell("commits", place);
                consumer.commitSync(Map.of(partition, new OffsetAndMetadata(next)));
                tell("committed", place);
            }
        }
    }

    public static void main(String[] arguments) {
        try {
            new ForeignService(arguments).run();
        } catch (Throwable error) {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
        }
    }
}
