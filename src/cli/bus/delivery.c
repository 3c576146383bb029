#include "cli/bus/delivery.h"

#include "base/mem.h"
#include "cli/base/cli.h"
#include "cli/base/output.h"

#include <stdlib.h>
#include <string.h>

void delivery_init(struct delivery *delivery, const char *topic, int64_t now_ms)
{
    *delivery = (struct delivery){.topic = topic, .start_ms = now_ms, .end_ms = now_ms};
}

void delivery_deinit(struct delivery *delivery)
{
    for (size_t i = 0; i < DELIVERY_FAILURES_KEPT; i++) {
        free(delivery->failures[i].why);
    }
    vec_deinit(&delivery->partitions);
    *delivery = (struct delivery){0};
}

static struct delivery_partition *partition_of(struct delivery *delivery, int32_t partition)
{
    while (delivery->partitions.count <= (size_t)partition) {
        (void)vec_add(&delivery->partitions);
    }
    return &delivery->partitions.items[partition];
}

void delivery_acknowledge(struct delivery *delivery, int32_t partition, int64_t offset,
                          size_t bytes)
{
    delivery->acknowledged++;
    delivery->bytes += bytes;
    if (partition < 0) {
        return;
    }
    struct delivery_partition *at = partition_of(delivery, partition);
    if (at->count++ == 0) {
        at->first_offset = offset;
    }
    at->last_offset = offset;
}

void delivery_fail(struct delivery *delivery, uint64_t event, const struct client_error *error)
{
    if (delivery->failed < DELIVERY_FAILURES_KEPT) {
        delivery->failures[delivery->failed] =
            (struct delivery_failure){.event = event,
                                      .code = error->code,
                                      .hint = error->hint,
                                      .why = mem_strdup(error->text)};
    }
    delivery->failed++;
    if (error->code != 0 && !client_is_about_event(error->code)) {
        delivery->is_hopeless = true;
    }
}

int delivery_exit_code(const struct delivery *delivery)
{
    return delivery->failed > 0 || delivery->acknowledged < delivery->sent ? EXIT_FAILED : EXIT_OK;
}

static double seconds(const struct delivery *delivery, int64_t now_ms)
{
    int64_t ms = now_ms - delivery->start_ms;
    return ms > 0 ? (double)ms / 1000.0 : 0.001;
}

static json_t *partitions_to_json(const struct delivery *delivery)
{
    json_t *list = json_array();
    for (size_t i = 0; i < delivery->partitions.count; i++) {
        const struct delivery_partition *at = &delivery->partitions.items[i];
        if (at->count > 0) {
            json_array_append_new(list, json_pack("{s:i,s:I,s:I,s:I}", "partition", (int)i, "count",
                                                  (json_int_t)at->count, "first_offset",
                                                  (json_int_t)at->first_offset, "last_offset",
                                                  (json_int_t)at->last_offset));
        }
    }
    return list;
}

json_t *delivery_to_json(const struct delivery *delivery)
{
    json_t *failures = json_array();
    for (size_t i = 0; i < delivery->failed && i < DELIVERY_FAILURES_KEPT; i++) {
        const struct delivery_failure *failure = &delivery->failures[i];
        json_array_append_new(
            failures, json_pack("{s:I,s:s,s:o}", "event", (json_int_t)failure->event, "error",
                                failure->code != 0 ? client_code_name(failure->code) : "INVALID",
                                "message", output_json_text(failure->why)));
    }
    return json_pack("{s:s,s:I,s:I,s:I,s:f,s:o,s:o}", "topic", delivery->topic, "acknowledged",
                     (json_int_t)delivery->acknowledged, "failed", (json_int_t)delivery->failed,
                     "bytes", (json_int_t)delivery->bytes, "seconds",
                     seconds(delivery, delivery->end_ms), "partitions",
                     partitions_to_json(delivery), "failures", failures);
}

static void print_acknowledged(const struct delivery *delivery, FILE *out)
{
    if (delivery->acknowledged == 1 && delivery->failed == 0) {
        for (size_t i = 0; i < delivery->partitions.count; i++) {
            if (delivery->partitions.items[i].count == 1) {
                output_text(out, "published 1 event to %s, partition %d, offset %lld\n",
                            delivery->topic, (int)i,
                            (long long)delivery->partitions.items[i].last_offset);
                return;
            }
        }
    }
    if (delivery->acknowledged == 0) {
        output_text(out, "published 0 events to %s\n", delivery->topic);
        return;
    }
    char size[32];
    char time[32];
    double taken = seconds(delivery, delivery->end_ms);
    snprintf(time, sizeof time, taken < 1 ? "%.0f ms" : "%.1f s", taken < 1 ? taken * 1000 : taken);
    output_text(out, "published %llu event%s to %s (%s, %s, %.0f events/s)\n",
                (unsigned long long)delivery->acknowledged, plural_s(delivery->acknowledged),
                delivery->topic, output_size((double)delivery->bytes, size), time,
                (double)delivery->acknowledged / taken);
}

void delivery_print(const struct delivery *delivery, FILE *out, FILE *errors)
{
    print_acknowledged(delivery, out);
    fflush(out);
    if (delivery->failed == 0) {
        return;
    }
    output_text(errors, "tidings: %llu event%s NOT acknowledged\n",
                (unsigned long long)delivery->failed, delivery->failed == 1 ? " was" : "s were");
    for (size_t i = 0; i < delivery->failed && i < DELIVERY_FAILURES_KEPT; i++) {
        output_text(errors, "  event %llu: %s\n", (unsigned long long)delivery->failures[i].event,
                    delivery->failures[i].why);
    }
    if (delivery->failed > DELIVERY_FAILURES_KEPT) {
        output_text(errors, "  and %llu more\n",
                    (unsigned long long)(delivery->failed - DELIVERY_FAILURES_KEPT));
    }
    const char *hint = delivery->failures[0].hint;
    if (hint != NULL) {
        output_text(errors, "hint: %s\n", hint);
    }
}

void delivery_progress(const struct delivery *delivery, uint64_t read_bytes, uint64_t total_bytes,
                       int64_t now_ms, char *text, size_t size)
{
    char bytes[32];
    char percent[16] = "";
    if (total_bytes > 0) {
        double part = (double)read_bytes / (double)total_bytes;
        snprintf(percent, sizeof percent, "%3.0f %%  ", part > 1 ? 100.0 : part * 100);
    }
    snprintf(text, size, "%s%llu event%s acknowledged, %s, %.0f events/s%s", percent,
             (unsigned long long)delivery->acknowledged, plural_s(delivery->acknowledged),
             output_size((double)delivery->bytes, bytes),
             (double)delivery->acknowledged / seconds(delivery, now_ms),
             delivery->failed > 0 ? ", some FAILED" : "");
}
