import java.io.IOException;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.ApiException;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.OutOfOrderSequenceException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.UnsupportedVersionException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Consume, transform, produce, exactly once, with the Java client. Options and history lines are
 * those of campaign-client's mode `transform` (client.h, history.py); so are the exit codes.
 */
public final class Loop extends Recorder implements ConsumerRebalanceListener {
    private static final int SESSION_MS = 3000;

    private final Random random;
    private final KafkaProducer<String, String> producer;
    private final KafkaConsumer<String, String> consumer;
    private long values;
    private long transactions;

    public static void main(String[] arguments) throws Exception {
        Loop loop = new Loop(arguments);
        boolean good = loop.run();
        loop.consumer.close(Duration.ofSeconds(10));
        loop.producer.close(Duration.ofSeconds(10));
        System.exit(good || loop.stopping() ? 0 : GIVEN_UP);
    }

    private Loop(String[] arguments) throws IOException {
        super(arguments);
        random = new Random(Long.parseLong(option("seed")));
        producer = new KafkaProducer<>(producerSettings());
        consumer = new KafkaConsumer<>(consumerSettings());
    }

    private Map<String, Object> producerSettings() {
        return Map.of("bootstrap.servers", option("bootstrap"),
            "client.id", option("process"),
            "transactional.id", option("transactional_id"),
            "transaction.timeout.ms", option("transaction_ms"),
            "reconnect.backoff.max.ms", "500", "request.timeout.ms", "10000",
            "max.block.ms", "30000",
            "key.serializer", StringSerializer.class, "value.serializer", StringSerializer.class);
    }

    private Map<String, Object> consumerSettings() {
        Map<String, Object> settings = new HashMap<>(Map.of(
            "bootstrap.servers", option("bootstrap"), "client.id", option("process"),
            "group.id", option("group"), "isolation.level", "read_committed",
            "enable.auto.commit", "false", "auto.offset.reset", "none",
            "max.poll.records", option("batch"), "session.timeout.ms", SESSION_MS,
            "heartbeat.interval.ms", "500", "reconnect.backoff.max.ms", "500"));
        settings.put("request.timeout.ms", "10000");
        settings.put("key.deserializer", StringDeserializer.class);
        settings.put("value.deserializer", StringDeserializer.class);
        return settings;
    }

    private boolean run() {
        if (!open()) {
            return false;
        }
        consumer.subscribe(List.of(option("topics").split(",")), this);
        while (!stopping()) {
            ConsumerRecords<String, String> records;
            try {
                records = consumer.poll(Duration.ofMillis(100));
            } catch (ApiException error) {
                say("poll", error);
                continue;
            }
            records.forEach(this::logSeen);
            if (!records.isEmpty() && !transform(records)) {
                return false;
            }
        }
        return true;
    }

    private boolean open() {
        while (!stopping()) {
            try {
                producer.initTransactions();
                return true;
            } catch (TimeoutException error) {
                say("initTransactions", error);
            } catch (KafkaException error) {
                say("initTransactions", error);
                return false;
            }
        }
        return false;
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        // Transactions begin and end between two polls: nothing is under way.
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        resume(Set.copyOf(partitions));
    }

    /** Goes on from what is committed. */
    private void resume(Set<TopicPartition> partitions) {
        while (!stopping() && !partitions.isEmpty()) {
            long since = System.nanoTime();
            try {
                Map<TopicPartition, OffsetAndMetadata> committed = consumer.committed(partitions);
                partitions.forEach(partition -> resume(partition, committed.get(partition), since));
                return;
            } catch (ApiException error) {
                say("committed", error);
            }
        }
    }

    private void resume(TopicPartition at, OffsetAndMetadata committed, long since) {
        log("committed %s %s %d %d %d", option("group"), at.topic(), at.partition(),
            committed == null ? -1 : committed.offset(), since);
        long offset = committed == null ? 0 : committed.offset();
        log("start %s %s %d %d read_committed", option("process"), at.topic(), at.partition(),
            offset);
        consumer.seek(at, offset);
    }

    /** False: the client gave the producer up. */
    private boolean transform(ConsumerRecords<String, String> records) {
        String name = option("process") + "/" + transactions++;
        boolean wanted = random.nextInt(100) >= number("abort_percent");
        log("begin %s", name);
        try {
            producer.beginTransaction();
            records.forEach(record -> send(record, name));
            producer.sendOffsetsToTransaction(offsets(records, name), consumer.groupMetadata());
            if (wanted) {
                log("commit %s", name);
                commit();
                log("ended %s committed -", name);
                count(records.count());
                return true;
            }
        } catch (ProducerFencedException | InvalidProducerEpochException
                 | OutOfOrderSequenceException | UnsupportedVersionException
                 | IllegalStateException error) {
            say("given up", error);
            return false;
        } catch (KafkaException error) {
            say("transaction", error);
        }
        return abort(name);
    }

    private void send(ConsumerRecord<String, String> input, String name) {
        String value = option("process") + ":" + values++;
        int partitions = number("partitions");
        int partition = Integer.parseInt(input.key().substring(1)) % partitions;
        log("send %s %s %d %s %s %s/%d/%d", value, option("output"), partition, input.key(),
            name, input.topic(), input.partition(), input.offset());
        producer.send(
            new ProducerRecord<>(option("output"), partition, input.key(), value + " java"),
            (metadata, error) -> {
                if (error == null) {
                    log("acked %s %d", value, metadata.hasOffset() ? metadata.offset() : -1);
                } else {
                    log("unknown %s %s", value, error.getClass().getSimpleName());
                }
            });
    }

    private Map<TopicPartition, OffsetAndMetadata> offsets(ConsumerRecords<String, String> records,
                                                           String name) {
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        for (ConsumerRecord<String, String> record : records) {
            offsets.put(new TopicPartition(record.topic(), record.partition()),
                new OffsetAndMetadata(record.offset() + 1));
        }
        offsets.forEach((at, offset) -> log("offset %s %s %s %d %d", name, option("group"),
            at.topic(), at.partition(), offset.offset()));
        return offsets;
    }

    /** Asks again until there is an answer. */
    private void commit() {
        while (true) {
            try {
                producer.commitTransaction();
                return;
            } catch (TimeoutException error) {
                say("commit, again", error);
            }
        }
    }

    private boolean abort(String name) {
        log("abort %s", name);
        while (true) {
            try {
                producer.abortTransaction();
                log("ended %s aborted -", name);
                resume(consumer.assignment());
                return true;
            } catch (TimeoutException error) {
                say("abort, again", error);
            } catch (KafkaException | IllegalStateException error) {
                say("given up", error);
                log("ended %s unknown %s", name, error.getClass().getSimpleName());
                return false;
            }
        }
    }
}
