import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** What the scenario needs of Apache Kafka's Java client. */
final class JavaClient implements AutoCloseable {
    private final String bootstrap;
    private final Admin admin;
    private final Member reader;

    JavaClient(String bootstrap, String prefix) {
        this.bootstrap = bootstrap;
        this.admin = Admin.create(Map.of("bootstrap.servers", bootstrap));
        this.reader = new Member(consumerSettings(prefix + ".reader"));
    }

    private Map<String, Object> consumerSettings(String group) {
        Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("group.id", group);
        settings.put("key.deserializer", ByteArrayDeserializer.class);
        settings.put("value.deserializer", ByteArrayDeserializer.class);
        settings.put("auto.offset.reset", "earliest");
        settings.put("enable.auto.commit", false);
        String protocol = System.getenv("GROUP_PROTOCOL");
        if (protocol != null) {
            settings.put("group.protocol", protocol); // the server has the time-outs (KIP-848)
        } else {
            settings.put("session.timeout.ms", 6000);
            settings.put("heartbeat.interval.ms", 200);
        }
        return settings;
    }

    void createTopic(String topic, int partitions, Map<String, String> config) throws Exception {
        NewTopic wanted = new NewTopic(topic, Optional.of(partitions), Optional.empty());
        admin.createTopics(List.of(wanted.configs(config))).all().get();
    }

    void deleteTopic(String topic) throws Exception {
        admin.deleteTopics(List.of(topic)).all().get();
    }

    Set<String> listTopics() throws Exception {
        return admin.listTopics().names().get();
    }

    int countPartitions(String topic) throws Exception {
        return admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions()
            .size();
    }

    private static ConfigResource resource(String topic) {
        return new ConfigResource(ConfigResource.Type.TOPIC, topic);
    }

    String getConfig(String topic, String key) throws Exception {
        return admin.describeConfigs(List.of(resource(topic))).all().get().get(resource(topic))
            .get(key).value();
    }

    void setConfig(String topic, String key, String value) throws Exception {
        AlterConfigOp set = new AlterConfigOp(new ConfigEntry(key, value), AlterConfigOp.OpType.SET);
        admin.incrementalAlterConfigs(Map.of(resource(topic), List.of(set))).all().get();
    }

    void addPartitions(String topic, int count) throws Exception {
        admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(count))).all().get();
    }

    void deleteRecords(String topic, int partition, long before) throws Exception {
        admin.deleteRecords(Map.of(new TopicPartition(topic, partition),
            RecordsToDelete.beforeOffset(before))).all().get();
    }

    void produce(String topic, List<Item> items, String codec, int acks, boolean idempotent)
            throws Exception {
        Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("key.serializer", ByteArraySerializer.class);
        settings.put("value.serializer", ByteArraySerializer.class);
        settings.put("compression.type", codec);
        settings.put("acks", String.valueOf(acks));
        settings.put("enable.idempotence", idempotent);
        settings.put("max.request.size", 10_000_000);
        settings.put("linger.ms", 5);
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(settings)) {
            List<Future<?>> sent = new ArrayList<>();
            for (Item item : items) {
                ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(topic,
                    item.partition(), item.timestampMs(), item.key(), item.value());
                item.headers().forEach(
                    header -> record.headers().add(header.getKey(), header.getValue().getBytes()));
                sent.add(producer.send(record));
            }
            for (Future<?> one : sent) {
                one.get();
            }
        }
    }

    long[] offsets(String topic, int partition) {
        TopicPartition one = new TopicPartition(topic, partition);
        return new long[] {
            reader.consumer().beginningOffsets(List.of(one)).get(one),
            reader.consumer().endOffsets(List.of(one)).get(one)
        };
    }

    Long offsetAt(String topic, int partition, long timeMs) {
        TopicPartition one = new TopicPartition(topic, partition);
        OffsetAndTimestamp found = reader.consumer().offsetsForTimes(Map.of(one, timeMs)).get(one);
        return found == null ? null : found.offset();
    }

    List<Item> read(String topic, int partition, long start, int count) throws Exception {
        return read(reader, topic, partition, start, count);
    }

    private static List<Item> read(Member reader, String topic, int partition, long start,
                                   int count) throws Exception {
        TopicPartition one = new TopicPartition(topic, partition);
        reader.consumer().assign(List.of(one));
        reader.consumer().seek(one, start);
        List<Item> items = new ArrayList<>();
        Scenario.waitFor(() -> {
            items.addAll(reader.poll());
            return items.size() >= count;
        }, count + " records");
        reader.consumer().unsubscribe();
        return items.subList(0, count);
    }

    List<Item> readIsolated(String topic, int count, boolean committed) throws Exception {
        Map<String, Object> settings = consumerSettings("isolated");
        settings.put("isolation.level", committed ? "read_committed" : "read_uncommitted");
        try (Member isolated = new Member(settings)) {
            return read(isolated, topic, 0, 0, count);
        }
    }

    Transactional transactions(String id) {
        return new Transactional(bootstrap, id);
    }

    Member member(String group, String topic) {
        Member member = new Member(consumerSettings(group));
        member.consumer().subscribe(List.of(topic));
        return member;
    }

    Set<String> listGroups() throws Exception {
        return admin.listConsumerGroups().all().get().stream().map(group -> group.groupId())
            .collect(Collectors.toSet());
    }

    String groupState(String group) throws Exception {
        return admin.describeConsumerGroups(List.of(group)).all().get().get(group).state()
            .toString();
    }

    long groupOffset(String group, String topic, int partition) throws Exception {
        OffsetAndMetadata found = admin.listConsumerGroupOffsets(group)
            .partitionsToOffsetAndMetadata().get().get(new TopicPartition(topic, partition));
        return found == null ? -1 : found.offset();
    }

    void deleteGroup(String group) throws Exception {
        admin.deleteConsumerGroups(List.of(group)).all().get();
    }

    @Override
    public void close() {
        reader.close();
        admin.close();
    }
}
