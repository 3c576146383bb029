import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.stream.StreamSupport;
import org.apache.kafka.common.errors.ApiException;
import org.apache.kafka.common.protocol.Errors;

/**
 * The scenario through Apache Kafka's Java client: Scenario SCENARIO BOOTSTRAP PREFIX [STEP ...].
 * Prints one line a step. The same ops as python/common.py; ../README.md describes them.
 */
public final class Scenario {
    static final long WAIT_MS = 30_000;
    static final String NAME =
        System.getenv("CLIENT_NAME") != null ? System.getenv("CLIENT_NAME") : "java";

    private final JavaClient client;
    private final String prefix;

    private Scenario(JavaClient client, String prefix) {
        this.client = client;
        this.prefix = prefix;
    }

    static void check(boolean fact, String text) {
        if (!fact) {
            throw new IllegalStateException(text);
        }
    }

    static void waitFor(Callable<Boolean> condition, String what) throws Exception {
        long end = System.currentTimeMillis() + WAIT_MS;
        while (!condition.call()) {
            check(System.currentTimeMillis() < end, "waited " + WAIT_MS + " ms for " + what);
            Thread.sleep(10);
        }
    }

    private String topic(JsonNode step) {
        return prefix + "." + step.get("topic").asText();
    }

    private String group(JsonNode step) {
        return prefix + "." + step.get("group").asText();
    }

    private static byte[] fill(String text, int size) {
        return text.repeat(size / text.length() + 1).substring(0, size).getBytes();
    }

    private static List<Item> itemsOf(JsonNode step) {
        List<Item> items = new ArrayList<>();
        List<Map.Entry<String, String>> headers = new ArrayList<>();
        step.path("headers").forEach(
            pair -> headers.add(Map.entry(pair.get(0).asText(), pair.get(1).asText())));
        for (int index = 0; index < step.get("count").asInt(); index++) {
            String text = step.get("step").asText() + "-" + index + " ";
            JsonNode size = step.get("value_bytes");
            byte[] value = size.isNull() ? null : fill(text, size.asInt());
            byte[] key = step.path("keyed").asBoolean(true) ? text.trim().getBytes() : null;
            items.add(new Item(step.get("partition").asInt(), -1, key, value, headers, null));
        }
        return items;
    }

    private void createTopic(JsonNode wanted) throws Exception {
        Map<String, String> config = new HashMap<>();
        wanted.get("config").fields().forEachRemaining(
            entry -> config.put(entry.getKey(), entry.getValue().asText()));
        client.createTopic(topic(wanted), wanted.get("partitions").asInt(), config);
    }

    private boolean allListed(JsonNode step, Set<String> names) {
        return StreamSupport.stream(step.get("contains").spliterator(), false)
            .allMatch(name -> names.contains(prefix + "." + name.asText()));
    }

    private void awaitConfig(JsonNode step) throws Exception {
        String key = step.get("key").asText();
        waitFor(() -> client.getConfig(topic(step), key).equals(step.get("value").asText()),
            "the setting " + key);
    }

    private void roundTrip(JsonNode step) throws Exception {
        String topic = topic(step);
        int partition = step.get("partition").asInt();
        long start = step.path("fresh").asBoolean() ? 0 : client.offsets(topic, partition)[1];
        List<Item> sent = itemsOf(step);
        client.produce(topic, sent, step.get("codec").asText(), step.path("acks").asInt(-1),
            step.path("idempotent").asBoolean());
        List<Item> got = client.read(topic, partition, start, sent.size());
        check(got.size() == sent.size(), "sent " + sent.size() + ", read " + got.size());
        for (int index = 0; index < got.size(); index++) {
            Item one = sent.get(index);
            Item other = got.get(index);
            check(other.offset() == start + index, "offset " + other.offset());
            check(Arrays.equals(one.key(), other.key()), "the key differs at " + index);
            check(Arrays.equals(one.value(), other.value()), "the value differs at " + index);
            check(one.headers().equals(other.headers()), "headers " + other.headers());
        }
    }

    private void produceError(JsonNode step) throws Exception {
        byte[] value = fill("too large ", step.get("value_bytes").asInt());
        Item item = new Item(step.get("partition").asInt(), -1, null, value, List.of(), null);
        dueError(step, () -> client.produce(topic(step), List.of(item), "none", -1, false));
    }

    private void seekTime(JsonNode step) throws Exception {
        String topic = topic(step);
        List<Item> items = new ArrayList<>();
        for (int index = 0; index < step.get("count").asInt(); index++) {
            long time = step.get("start_ms").asLong() + index * step.get("every_ms").asLong();
            items.add(new Item(0, -1, null, "at".getBytes(), List.of(), time));
        }
        client.produce(topic, items, "none", -1, false);
        Long offset = client.offsetAt(topic, 0, step.get("at_ms").asLong());
        check(offset != null && offset == step.get("offset").asLong(), "offset " + offset);
        Item first = client.read(topic, 0, offset, 1).get(0);
        check(first.timestampMs().equals(items.get(offset.intValue()).timestampMs()),
            "time " + first.timestampMs());
        Long after = client.offsetAt(topic, 0, step.get("after_ms").asLong());
        check(after == null, "offset " + after + " for a time to come");
    }

    private void watermarks(JsonNode step) throws Exception {
        long[] got = client.offsets(topic(step), step.get("partition").asInt());
        check(got[0] == step.get("earliest").asLong() && got[1] == step.get("latest").asLong(),
            Arrays.toString(got));
    }

    private void commitResume(JsonNode step) throws Exception {
        int take = step.get("take").asInt();
        int total = step.get("total").asInt();
        List<Long> offsets = new ArrayList<>();
        for (int[] part : new int[][] {{take, take}, {total - take, total}}) {
            try (Member member = client.member(group(step), topic(step))) {
                List<Item> got = new ArrayList<>();
                waitFor(() -> {
                    got.addAll(member.poll());
                    return got.size() >= part[0];
                }, "the records");
                got.subList(0, part[0]).forEach(item -> offsets.add(item.offset()));
                member.commit(topic(step), 0, part[1]);
            }
        }
        for (int index = 0; index < total; index++) {
            check(offsets.get(index) == index, "read " + offsets.get(index) + " at " + index);
        }
    }

    /** The members that share a topic, and which of its records they have seen. */
    private final class Sharing {
        final JsonNode step;
        final Set<String> seen = new HashSet<>();
        List<Member> members = List.of();

        Sharing(JsonNode step) {
            this.step = step;
        }

        void look() {
            for (Member member : members) {
                member.poll().forEach(item -> seen.add(item.partition() + "/" + item.offset()));
            }
        }

        void own(int... counts) throws Exception {
            waitFor(() -> {
                look();
                int at = 0;
                boolean fits = true;
                for (Member member : members) {
                    fits &= member.assignment().size() == counts[at++];
                }
                return fits;
            }, "the members to own " + Arrays.toString(counts));
        }

        void produceAndSee(int round) throws Exception {
            int records = step.get("records").asInt();
            int partitions = step.get("partitions").asInt();
            List<Item> items = new ArrayList<>();
            for (int at = 0; at < records; at++) {
                items.add(new Item(at % partitions, -1, null, "v".getBytes(), List.of(), null));
            }
            client.produce(topic(step), items, "none", -1, false);
            waitFor(() -> {
                look();
                return seen.size() >= round * records;
            }, "all the records");
        }
    }

    private void rebalance(JsonNode step) throws Exception {
        int all = step.get("partitions").asInt();
        Sharing sharing = new Sharing(step);
        try (Member stays = client.member(group(step), topic(step))) {
            sharing.members = List.of(stays);
            sharing.own(all);
            try (Member leaves = client.member(group(step), topic(step))) {
                sharing.members = List.of(stays, leaves);
                sharing.own(all / 2, all / 2);
                sharing.produceAndSee(1);
            }
            sharing.members = List.of(stays);
            sharing.own(all);
            sharing.produceAndSee(2);
        }
        int due = 2 * step.get("records").asInt();
        check(sharing.seen.size() == due, sharing.seen.size() + " records");
    }

    private void deleteGroup(JsonNode step) throws Exception {
        client.deleteGroup(group(step));
        check(!client.listGroups().contains(group(step)), "still listed");
    }

    private void createPartitions(JsonNode step) throws Exception {
        int count = step.get("partitions").asInt();
        client.addPartitions(topic(step), count);
        waitFor(() -> client.countPartitions(topic(step)) == count, "more partitions");
    }

    private void deleteRecords(JsonNode step) throws Exception {
        int partition = step.get("partition").asInt();
        client.deleteRecords(topic(step), partition, step.get("before").asLong());
        long earliest = client.offsets(topic(step), partition)[0];
        check(earliest == step.get("before").asLong(), "from " + earliest + " on");
    }

    interface Action {
        void run() throws Exception;
    }

    private static void dueError(JsonNode step, Action action) throws Exception {
        String due = step.get("error_name").asText() + " was due";
        try {
            action.run();
        } catch (Exception thrown) {
            Throwable error = thrown.getCause() == null ? thrown : thrown.getCause();
            check(error instanceof ApiException, error + ", but " + due);
            int code = Errors.forException(error).code();
            check(code == step.get("error").asInt(), error + " (" + code + "), but " + due);
            return;
        }
        check(false, "taken, but " + due);
    }

    private void run(JsonNode step) throws Exception {
        switch (step.get("op").asText()) {
            case "create_topics" -> {
                for (JsonNode wanted : step.get("topics")) {
                    createTopic(wanted);
                }
            }
            case "list_topics" ->
                waitFor(() -> allListed(step, client.listTopics()), "the topics to be listed");
            case "describe_topic" ->
                waitFor(() -> client.countPartitions(topic(step)) == step.get("partitions").asInt(),
                    "the partitions");
            case "describe_config" -> awaitConfig(step);
            case "alter_config" -> {
                client.setConfig(topic(step), step.get("key").asText(), step.get("value").asText());
                awaitConfig(step);
            }
            case "round_trip" -> roundTrip(step);
            case "produce_error" -> produceError(step);
            case "seek_time" -> seekTime(step);
            case "watermarks" -> watermarks(step);
            case "commit_resume" -> commitResume(step);
            case "rebalance" -> rebalance(step);
            case "transaction" -> new TransactionOps(client, prefix).transaction(step);
            case "transaction_fence" -> new TransactionOps(client, prefix).fence(step);
            case "transaction_offsets" -> new TransactionOps(client, prefix).offsets(step);
            case "list_groups" -> check(allListed(step, client.listGroups()), "not all are listed");
            case "describe_group" -> waitFor(
                () -> client.groupState(group(step)).equals(step.get("state").asText()),
                "the group to be " + step.get("state").asText());
            case "group_offsets" -> {
                long offset = client.groupOffset(group(step), topic(step),
                    step.get("partition").asInt());
                check(offset == step.get("offset").asLong(), "offset " + offset);
            }
            case "delete_group" -> deleteGroup(step);
            case "create_partitions" -> createPartitions(step);
            case "delete_records" -> deleteRecords(step);
            case "create_error" -> dueError(step, () -> createTopic(step));
            case "delete_error" -> dueError(step, () -> client.deleteTopic(topic(step)));
            case "delete_topic" -> {
                client.deleteTopic(topic(step));
                waitFor(() -> !client.listTopics().contains(topic(step)), "the topic to go");
            }
            default -> throw new UnsupportedOperationException("no op " + step.get("op").asText());
        }
    }

    public static void main(String[] arguments) throws Exception {
        List<String> only = Arrays.asList(arguments).subList(3, arguments.length);
        JsonNode steps = new ObjectMapper().readTree(new File(arguments[0])).get("steps");
        try (JavaClient client = new JavaClient(arguments[1], arguments[2])) {
            Scenario scenario = new Scenario(client, arguments[2]);
            for (JsonNode step : steps) {
                String name = step.get("step").asText();
                if (!only.isEmpty() && !only.contains(name)) {
                    continue;
                }
                long began = System.currentTimeMillis();
                try {
                    scenario.run(step);
                    System.out.println("ok " + NAME + " " + name);
                    System.err.println(name + " " + (System.currentTimeMillis() - began) + " ms");
                } catch (UnsupportedOperationException why) {
                    System.out.println("skip " + NAME + " " + name + ": " + why.getMessage());
                } catch (Exception error) {
                    error.printStackTrace();
                    String text = error.toString().replaceAll("\\s+", " ");
                    System.out.println("not ok " + NAME + " " + name + ": " + text);
                }
            }
        }
        System.exit(0);
    }
}
