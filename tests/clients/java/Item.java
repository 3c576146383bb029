import java.util.List;
import java.util.Map;

/** A record as it is sent or was read; a null timestamp means now. */
record Item(int partition, long offset, byte[] key, byte[] value,
            List<Map.Entry<String, String>> headers, Long timestampMs) {
}
