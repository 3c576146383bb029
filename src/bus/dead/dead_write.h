#ifndef TIDINGS_BUS_DEAD_DEAD_WRITE_H
#define TIDINGS_BUS_DEAD_DEAD_WRITE_H

#include "bus/dead/dead_fact.h"
#include "client/connection/connection.h"

/*
 * Writes what people say of dead letters to dlq-state.<group>, which is made at the first opening,
 * and edited letters to dlq.<group>. One thread.
 */
struct dead_writer;

/* Makes a writer; asks the bus, which has to be there. Free with dead_writer_close. */
CHECKED enum client_status dead_writer_open(const struct connection_settings *connection,
                                            const char *group, struct dead_writer **writer,
                                            struct client_error *error);

/* Gives up what is not flushed. NULL is fine. */
void dead_writer_close(struct dead_writer *writer);

/* Takes the fact, copying it. Facts are written in the order of these calls. */
CHECKED enum client_status dead_writer_put(struct dead_writer *writer, const struct dead_fact *fact,
                                           struct client_error *error);

/*
 * Takes an edited form of the letter: the same record with another payload (null slice: a
 * tombstone), and headers that name the letter and who did it.
 */
CHECKED enum client_status dead_writer_edit(struct dead_writer *writer,
                                            const struct dead_letter *letter, struct slice payload,
                                            const char *who, struct client_error *error);

/* Publishes the event of the letter to its source once more, without what the dead letter added and
 * with the header tidings-redrive-for: the group. By key, as a producer would. */
CHECKED enum client_status dead_writer_republish(struct dead_writer *writer,
                                                 const struct dead_letter *letter,
                                                 struct slice payload, struct client_error *error);

/* Waits until everything that was taken is kept; else the first failure since the last flush. Then
 * it is not known which of them are kept. */
CHECKED enum client_status dead_writer_flush(struct dead_writer *writer,
                                             struct client_error *error);

/* Where the last edited letter stands, after a flush; partition -1: nowhere. */
struct dead_place dead_writer_edited(const struct dead_writer *writer);

#endif
