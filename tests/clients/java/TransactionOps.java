import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.apache.kafka.common.errors.ProducerFencedException;

/** The ops with transactions. */
final class TransactionOps {
    private final JavaClient client;
    private final String prefix;

    TransactionOps(JavaClient client, String prefix) {
        this.client = client;
        this.prefix = prefix;
    }

    private String name(JsonNode step, String key) {
        return prefix + "." + step.get(key).asText();
    }

    private static List<String> keys(String word, int count) {
        return IntStream.range(0, count).mapToObj(index -> word + "-" + index).toList();
    }

    /** A reader of that isolation level sees these keys, in this order. */
    private void checkSeen(String topic, boolean committed, List<String> keys) throws Exception {
        List<String> got = client.readIsolated(topic, keys.size(), committed).stream()
            .map(item -> new String(item.key())).toList();
        String level = committed ? "read_committed" : "read_uncommitted";
        Scenario.check(got.equals(keys), level + " sees " + got + ", not " + keys);
    }

    void transaction(JsonNode step) throws Exception {
        String topic = name(step, "topic");
        List<String> all = new ArrayList<>();
        List<String> committed = new ArrayList<>();
        int number = 0;
        try (Transactional producer = client.transactions(name(step, "step"))) {
            for (JsonNode wanted : step.get("transactions")) {
                List<String> keys = keys(String.valueOf(number++), wanted.get("count").asInt());
                producer.begin();
                producer.send(topic, keys);
                all.addAll(keys);
                if (number == step.get("transactions").size()) {
                    checkSeen(topic, false, all);
                }
                producer.end(wanted.get("commit").asBoolean());
                committed.addAll(wanted.get("commit").asBoolean() ? keys : List.of());
            }
        }
        checkSeen(topic, true, committed);
        checkSeen(topic, false, all);
    }

    void fence(JsonNode step) throws Exception {
        String topic = name(step, "topic");
        List<String> all = new ArrayList<>(keys("old", step.get("count").asInt()));
        List<String> committed = keys("new", step.get("count").asInt());
        try (Transactional first = client.transactions(name(step, "step"))) {
            first.begin();
            first.send(topic, all);
            try (Transactional second = client.transactions(name(step, "step"))) {
                try {
                    first.end(true);
                    Scenario.check(false, "the fenced producer could commit");
                } catch (ProducerFencedException error) {
                    System.err.println("fenced: " + error);
                }
                second.begin();
                second.send(topic, committed);
                second.end(true);
            }
        }
        all.addAll(committed);
        checkSeen(topic, false, all);
        checkSeen(topic, true, committed);
    }

    /** One consume-transform-produce: the group's next records go out, and its offset. */
    private void transform(JsonNode step, int start, int count, boolean commit) throws Exception {
        String topic = name(step, "topic");
        List<Item> got = new ArrayList<>();
        try (Member member = client.member(name(step, "group"), topic);
                Transactional producer = client.transactions(name(step, "step"))) {
            Scenario.waitFor(() -> {
                got.addAll(member.poll());
                return got.size() >= count;
            }, "the records to transform");
            long from = got.get(0).offset();
            Scenario.check(from == start, "resumed at " + from + ", not " + start);
            producer.begin();
            producer.send(name(step, "into"), got.subList(0, count).stream()
                .map(item -> new String(item.key())).toList());
            producer.sendOffsets(member, topic, start + count);
            producer.end(commit);
        }
    }

    void offsets(JsonNode step) throws Exception {
        String topic = name(step, "topic");
        List<String> keys = keys("in", step.get("total").asInt());
        client.produce(topic, keys.stream().map(key -> new Item(0, -1, key.getBytes(),
            "v".getBytes(), List.of(), null)).toList(), "none", -1, false);
        List<String> all = new ArrayList<>();
        List<String> committed = new ArrayList<>();
        int position = 0;
        for (JsonNode wanted : step.get("transactions")) {
            int end = position + wanted.get("count").asInt();
            transform(step, position, end - position, wanted.get("commit").asBoolean());
            all.addAll(keys.subList(position, end));
            if (wanted.get("commit").asBoolean()) {
                committed.addAll(keys.subList(position, end));
                position = end;
                Scenario.waitFor(
                    () -> client.groupOffset(name(step, "group"), topic, 0) == end,
                    "the group's offset to be " + end);
            }
        }
        checkSeen(name(step, "into"), true, committed);
        checkSeen(name(step, "into"), false, all);
    }
}
