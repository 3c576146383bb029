import java.io.FileOutputStream;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteOrder;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import sun.misc.Signal;

/** Options, history lines and the progress counter of a client, as in client.h and history.py. */
class Recorder {
    static final int GIVEN_UP = 3;

    private final Map<String, String> options = new HashMap<>();
    private final FileOutputStream history;
    private final MappedByteBuffer progress;
    private volatile boolean stopping;

    Recorder(String[] arguments) throws IOException {
        for (String argument : arguments) {
            String[] parts = argument.split("=", 2);
            options.put(parts[0], parts[1]);
        }
        history = new FileOutputStream(option("history"), true);
        try (RandomAccessFile file = new RandomAccessFile(option("progress"), "rw")) {
            progress = file.getChannel().map(FileChannel.MapMode.READ_WRITE, 0, 4096);
            progress.order(ByteOrder.LITTLE_ENDIAN);
        }
        Signal.handle(new Signal("TERM"), signal -> stopping = true);
    }

    final String option(String name) {
        return options.get(name);
    }

    final int number(String name) {
        return Integer.parseInt(option(name));
    }

    final boolean stopping() {
        return stopping;
    }

    final synchronized void log(String format, Object... fields) {
        String line = System.nanoTime() + " " + option("process") + " "
            + String.format(format, fields) + "\n";
        try {
            history.write(line.getBytes(StandardCharsets.UTF_8));
        } catch (IOException error) {
            throw new java.io.UncheckedIOException(error);
        }
    }

    final void logSeen(ConsumerRecord<String, String> record) {
        log("see %s %s %d %d %s %s", option("process"), record.topic(), record.partition(),
            record.offset(), record.key(), record.value().split(" ", 2)[0]);
    }

    final void say(String what, Exception error) {
        System.err.println(option("process") + ": " + what + ": " + error);
    }

    /** So many more events came through. */
    final void count(int more) {
        int at = 8 * number("slot");
        progress.putLong(at, progress.getLong(at) + more);
    }
}
