#ifndef TIDINGS_CLIENT_LANE_KAFKA_LANE_WORD_H
#define TIDINGS_CLIENT_LANE_KAFKA_LANE_WORD_H

#include "client/connection/connection.h"
#include "client/lane/lane_record.h"

/*
 * Words of people to the owners of a group's lanes (docs/formats.md, "lanes.<group>"): records in
 * lanes.<group>, which the owner of each source partition reads, carries out and answers there. It
 * works on any Kafka cluster, with the right to write to that topic and to read it.
 *
 * A word is durable when it is written, and stays until an owner has answered it: also when nobody
 * is in the group now, and when an owner dies between a word and its answer, the next one carries
 * it out. Each is carried out at least once and has the effect of one: retry, hold and release by
 * what they are, skip by the head that it names, a redrive by its number. So who does not know
 * whether its word was written may send it again.
 *
 * Words about one source partition are begun in the order in which they were sent. A redrive is
 * answered when it is over, which may take as long as its handler needs; the others at once, but a
 * skip when its head is through.
 *
 * A rate is kept here, by the pace of sending: an owner carries out what it is given. How much is
 * under way at once is bounded here by the window, and by the owner (docs/architecture.md,
 * "Lanes").
 *
 * One thread calls everything; callbacks come inside of lane_words_serve and lane_words_close.
 */

/* What became of a word. Borrowed by the callback. */
struct lane_reply {
    void *token;                      /* as given to lane_words_send */
    const struct lane_answer *answer; /* the owner's; NULL: it was not written, or is given up */
    const struct client_error *error; /* why; NULL with an answer. CLIENT_CLOSED: the word is
                                         written, and stays, but nobody waits any longer;
                                         CLIENT_TIMED_OUT: it may be written or not */
};

/* Zero or NULL stands for the default in brackets. */
struct lane_words_settings {
    struct connection_settings connection;
    const char *group;
    int window;        /* words without answer at most, here [256] */
    double rate_per_s; /* words a second at most [no limit] */
    void (*replied)(void *context, const struct lane_reply *reply); /* required */
    void *context;
};

struct lane_words;

/*
 * Makes a sender; asks the bus. CLIENT_NOT_FOUND: the group has no lanes (there is no topic
 * lanes.<group>). CLIENT_INVALID names the setting that is wrong. Free with lane_words_close.
 */
CHECKED enum client_status lane_words_open(const struct lane_words_settings *settings,
                                           struct lane_words **words, struct client_error *error);

/* Gives up what is not answered (each with its reply, CLIENT_CLOSED) and frees. What was written
 * stays, and is carried out. NULL is fine. */
void lane_words_close(struct lane_words *words);

/*
 * Sends a word to the owner of a source partition, copying it; its time is set here when it is 0.
 * CLIENT_OK: exactly one reply follows. Else none does: CLIENT_FULL (the window or the rate: serve,
 * then try again), CLIENT_INVALID (a skip or redrive without head, a redrive without letter or
 * number, who or why of more than 1000 bytes), or as publisher_publish.
 */
CHECKED enum client_status lane_words_send(struct lane_words *words, const char *topic,
                                           int32_t partition, const struct lane_word *word,
                                           void *token, struct client_error *error);

/* Lets replies come for up to timeout_ms, or until some came. Another status than CLIENT_OK tells
 * of a trouble that may pass; after CLIENT_FATAL no answer comes any more. */
CHECKED enum client_status lane_words_serve(struct lane_words *words, int timeout_ms,
                                            struct client_error *error);

/* Words that have no reply yet. */
size_t lane_words_pending(const struct lane_words *words);

/* Of these, words that the bus has not acknowledged yet. */
size_t lane_words_unwritten(const struct lane_words *words);

/* For who waited for long: asks the bus who is in the group, and writes into the error what a
 * person is to know: that there is no member, or that those there are have not answered
 * (CLIENT_TIMED_OUT); or why it could not be asked. members, when not NULL: how many; -1: unknown.
 */
enum client_status lane_words_silence(struct lane_words *words, int *members,
                                      struct client_error *error);

/* To ask and administer by. Lives as long as the sender. */
struct connection *lane_words_connection(struct lane_words *words);

#endif
