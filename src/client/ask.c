#include "client/kafka.h"

#include "base/clock.h"

/*
 * Calls of librdkafka that wait for the bus and cannot be ended. Where a deadline may begin while
 * they do, they are made in steps: short ones while there is no broker at all, when nothing is lost
 * by asking again; longer ones for the answer, each twice the one before, so that a bus that is
 * slow has its time, and one that hangs has taken little of a short deadline's. Of one that is
 * known to be short none of them takes more than half.
 */

enum { STEP_MS = 500, ANSWER_FIRST_MS = 1000, ANSWER_MS = 5000 };

static int64_t now_ms(void)
{
    return clock_mono_ms(clock_system());
}

/* What the next step may take, of what is left until then; 0: it is over. */
static int step_ms(const struct connection *connection, int64_t until_ms, int64_t most_ms)
{
    int64_t left_ms = deadline_left_ms(connection->deadline, until_ms - now_ms());
    left_ms = left_ms > 0 ? left_ms : 0;
    return (int)(connection->deadline == NULL || left_ms < most_ms ? left_ms : most_ms);
}

struct asking {
    const struct connection *connection;
    int64_t until_ms;      /* of all steps */
    int64_t step_until_ms; /* of this one */
    int64_t answer_ms;     /* the next one that waits for an answer */
};

static struct asking begin(const struct connection *connection)
{
    return (struct asking){.connection = connection,
                           .until_ms = now_ms() + connection_timeout_ms(connection),
                           .answer_ms = ANSWER_FIRST_MS};
}

static int next_step(struct asking *asking, int64_t most_ms)
{
    int ms = step_ms(asking->connection, asking->until_ms, most_ms);
    asking->step_until_ms = now_ms() + ms;
    return ms;
}

static int next_answer(struct asking *asking)
{
    int64_t most_ms =
        deadline_step_ms(asking->connection->deadline, ANSWER_FIRST_MS, asking->answer_ms);
    int ms = next_step(asking, most_ms);
    asking->answer_ms = 2 * asking->answer_ms < ANSWER_MS ? 2 * asking->answer_ms : ANSWER_MS;
    return ms;
}

/* The step ended because its time was over, and there is more. What fails earlier has failed. */
static bool goes_on(const struct asking *asking, rd_kafka_resp_err_t code)
{
    bool is_late = code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR__TRANSPORT;
    return is_late && now_ms() >= asking->step_until_ms &&
           step_ms(asking->connection, asking->until_ms, 1) > 0;
}

rd_kafka_resp_err_t kafka_ask_metadata_by(struct connection *connection, rd_kafka_t *rk, bool all,
                                          rd_kafka_topic_t *topic,
                                          const struct rd_kafka_metadata **metadata)
{
    struct asking asking = begin(connection);
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TRANSPORT; /* nobody is there to answer */
    do {
        int ms = code == RD_KAFKA_RESP_ERR__TRANSPORT ? next_step(&asking, STEP_MS)
                                                      : next_answer(&asking);
        code = rd_kafka_metadata(rk, all, topic, metadata, ms);
    } while (goes_on(&asking, code));
    return code;
}

rd_kafka_resp_err_t kafka_ask_metadata(struct connection *connection, bool all,
                                       rd_kafka_topic_t *topic,
                                       const struct rd_kafka_metadata **metadata)
{
    return kafka_ask_metadata_by(connection, connection->rk, all, topic, metadata);
}

rd_kafka_resp_err_t kafka_ask_times(struct connection *connection,
                                    rd_kafka_topic_partition_list_t *list)
{
    struct asking asking = begin(connection);
    rd_kafka_topic_partition_list_t *question = rd_kafka_topic_partition_list_copy(list);
    rd_kafka_resp_err_t code;
    do {
        for (int i = 0; i < list->cnt; i++) { /* an answer stands where the question did */
            list->elems[i].offset = question->elems[i].offset;
        }
        code = rd_kafka_offsets_for_times(connection->rk, list, next_answer(&asking));
    } while (goes_on(&asking, code));
    rd_kafka_topic_partition_list_destroy(question);
    return code;
}

rd_kafka_resp_err_t kafka_ask_committed(struct connection *connection,
                                        rd_kafka_topic_partition_list_t *list)
{
    struct asking asking = begin(connection);
    rd_kafka_resp_err_t code;
    do {
        code = rd_kafka_committed(connection->rk, list, next_answer(&asking));
    } while (goes_on(&asking, code));
    return code;
}

rd_kafka_event_t *kafka_await(struct connection *connection, rd_kafka_queue_t *queue,
                              int64_t most_ms)
{
    int64_t until_ms = now_ms() + most_ms;
    rd_kafka_event_t *event;
    do {
        event = rd_kafka_queue_poll(queue, step_ms(connection, until_ms, STEP_MS));
    } while (event == NULL && step_ms(connection, until_ms, 1) > 0);
    return event;
}
