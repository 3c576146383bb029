import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidRegularExpression;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * What only the Java client of Kafka 4 does with groups: Groups BOOTSTRAP PREFIX. Members of both
 * protocols in one group that is upgraded and downgraded member by member; patterns that the server
 * resolves. Prints one line a case.
 */
public final class Groups {
    private static final long WAIT_MS = 60_000;
    private static final int PARTITIONS = 4;
    private static final int RECORDS = 40;

    private final String bootstrap;
    private final String prefix;
    private final Admin admin;
    private final KafkaProducer<byte[], byte[]> producer;

    private Groups(String bootstrap, String prefix) {
        this.bootstrap = bootstrap;
        this.prefix = prefix;
        admin = Admin.create(Map.of("bootstrap.servers", bootstrap));
        producer = new KafkaProducer<>(Map.of("bootstrap.servers", bootstrap), new ByteArraySerializer(),
            new ByteArraySerializer());
    }

    private static void check(boolean fact, String text) {
        if (!fact) {
            throw new IllegalStateException(text);
        }
    }

    private static void waitFor(Callable<Boolean> condition, Callable<String> what) throws Exception {
        long end = System.currentTimeMillis() + WAIT_MS;
        while (!condition.call()) {
            check(System.currentTimeMillis() < end, "waited " + WAIT_MS + " ms for " + what.call());
        }
    }

    private void createTopic(String topic) throws Exception {
        admin.createTopics(List.of(new NewTopic(topic, PARTITIONS, (short) 1))).all().get();
    }

    private void produce(String topic, int count) {
        for (int at = 0; at < count; at++) {
            producer.send(new ProducerRecord<>(topic, at % PARTITIONS, null, "v".getBytes()));
        }
        producer.flush();
    }

    private KafkaConsumer<byte[], byte[]> consumer(String group, boolean classic, Class<?> assignor) {
        Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("group.id", group);
        settings.put("group.protocol", classic ? "classic" : "consumer");
        settings.put("enable.auto.commit", false);
        settings.put("auto.offset.reset", "earliest");
        settings.put("metadata.max.age.ms", 500);
        if (classic) {
            settings.put("heartbeat.interval.ms", 200);
            settings.put("partition.assignment.strategy", List.of(assignor));
        }
        return new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    /** The members of one group, who owns what, and how often each record was seen. */
    private final class Crowd {
        final Map<TopicPartition, Guest> owners = new HashMap<>();
        final Map<String, Integer> seen = new TreeMap<>();
        final List<Guest> guests = new ArrayList<>();
        int produced;

        void look() {
            guests.forEach(Guest::poll);
        }

        /** All partitions are owned, everybody has some, and all that was sent was seen once. */
        void settle(String topic, String phase) throws Exception {
            produce(topic, RECORDS);
            produced += RECORDS;
            waitFor(() -> {
                look();
                return owners.size() == PARTITIONS && seen.size() == produced
                    && Set.copyOf(owners.values()).size() == guests.size();
            }, () -> phase + ": " + owners.size() + " owned by " + Set.copyOf(owners.values()).size()
                + ", seen " + seen.size() + " of " + produced);
            check(seen.values().stream().allMatch(times -> times == 1), phase + ": seen twice: " + seen);
        }
    }

    private final class Guest implements ConsumerRebalanceListener {
        final Crowd crowd;
        final KafkaConsumer<byte[], byte[]> consumer;

        Guest(Crowd crowd, String group, String topic, boolean classic, Class<?> assignor) {
            this.crowd = crowd;
            consumer = consumer(group, classic, assignor);
            consumer.subscribe(List.of(topic), this);
            crowd.guests.add(this);
        }

        void poll() {
            for (ConsumerRecord<byte[], byte[]> one : consumer.poll(Duration.ofMillis(50))) {
                check(crowd.owners.get(new TopicPartition(one.topic(), one.partition())) == this,
                    "a record of a partition that another has: " + one.partition());
                crowd.seen.merge(one.partition() + "/" + one.offset(), 1, Integer::sum);
            }
            try {
                consumer.commitSync();
            } catch (RebalanceInProgressException | CommitFailedException later) {
                // with the next poll, or when the partitions are given up
            }
        }

        /** The client's epoch may rise while it asks: it is to ask again with the new one. */
        private void commitWhileRevoking() {
            for (int tries = 1;; tries++) {
                try {
                    consumer.commitSync();
                    return;
                } catch (CommitFailedException stale) {
                    check(tries < 100, "no commit while partitions are given up: " + stale);
                }
            }
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            for (TopicPartition one : partitions) {
                check(crowd.owners.putIfAbsent(one, this) == null, one + " has two owners");
            }
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            commitWhileRevoking();
            partitions.forEach(one -> crowd.owners.remove(one, this));
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> partitions) {
            check(false, "partitions were lost: " + partitions);
        }

        void leave() {
            crowd.guests.remove(this);
            consumer.close();
        }
    }

    /** By range, all partitions are given up before they are assigned anew; else those that move. */
    private void rollingUpgrade(Class<?> assignor) throws Exception {
        String topic = prefix + ".rolling-" + assignor.getSimpleName();
        String group = topic;
        createTopic(topic);
        Crowd crowd = new Crowd();
        new Guest(crowd, group, topic, true, assignor);
        new Guest(crowd, group, topic, true, assignor);
        crowd.settle(topic, "all classic");
        for (boolean classic : new boolean[] {false, true}) {
            for (int moved = 1; moved <= 2; moved++) {
                Guest old = crowd.guests.get(0);
                new Guest(crowd, group, topic, classic, assignor);
                crowd.settle(topic, "one more, " + (classic ? "classic" : "consumer"));
                old.leave();
                crowd.settle(topic, moved + " moved to " + (classic ? "classic" : "consumer"));
            }
        }
        long committed = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get()
            .values().stream().mapToLong(offset -> offset.offset()).sum();
        check(committed == crowd.produced, "committed " + committed + " of " + crowd.produced);
        List.copyOf(crowd.guests).forEach(Guest::leave);
    }

    private void pattern() throws Exception {
        createTopic(prefix + ".pattern-a");
        createTopic(prefix + ".other");
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(prefix + ".pattern", false, null)) {
            consumer.subscribe(new SubscriptionPattern(prefix.replace(".", "\\.") + "\\.pattern-.*"));
            for (String name : new String[] {"a", "b"}) {
                if (name.equals("b")) {
                    createTopic(prefix + ".pattern-b");
                }
                String topic = prefix + ".pattern-" + name;
                produce(topic, RECORDS);
                Set<String> got = new TreeSet<>();
                waitFor(() -> {
                    consumer.poll(Duration.ofMillis(50)).records(topic)
                        .forEach(one -> got.add(one.partition() + "/" + one.offset()));
                    return got.size() == RECORDS;
                }, () -> topic + ": read " + got.size() + " of " + RECORDS);
            }
            Set<String> topics = new TreeSet<>();
            consumer.assignment().forEach(one -> topics.add(one.topic()));
            check(topics.equals(Set.of(prefix + ".pattern-a", prefix + ".pattern-b")), "" + topics);
        }
    }

    private void brokenPattern() throws Exception {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(prefix + ".broken", false, null)) {
            consumer.subscribe(new SubscriptionPattern("a(b"));
            waitFor(() -> {
                try {
                    consumer.poll(Duration.ofMillis(50));
                    return false;
                } catch (InvalidRegularExpression due) {
                    return true;
                }
            }, () -> "InvalidRegularExpression");
        }
    }

    interface Action {
        void run() throws Exception;
    }

    private static void tell(String name, Action action) {
        try {
            action.run();
            System.out.println("ok java-4-groups " + name);
        } catch (Exception error) {
            error.printStackTrace();
            System.out.println("not ok java-4-groups " + name + ": "
                + error.toString().replaceAll("\\s+", " "));
        }
    }

    public static void main(String[] arguments) {
        Groups groups = new Groups(arguments[0], arguments[1]);
        tell("pattern", groups::pattern);
        tell("broken-pattern", groups::brokenPattern);
        tell("rolling-upgrade", () -> groups.rollingUpgrade(CooperativeStickyAssignor.class));
        tell("rolling-upgrade-range", () -> groups.rollingUpgrade(RangeAssignor.class));
        System.exit(0);
    }
}
