#ifndef TIDINGS_TESTS_LANES_SIM_WORLD_H
#define TIDINGS_TESTS_LANES_SIM_WORLD_H

#include "sim.h"

/* What the files of the world share, from the ground up. */

/* --- sim_later.c: chance, what happens later, events in hand --- */

int64_t sim_between(struct world *world, int64_t low, int64_t high);
bool sim_chance(struct world *world, int percent);
__attribute__((format(printf, 2, 3))) void sim_say(const struct world *world, const char *format,
                                                   ...);
struct op *sim_later(struct world *world, int64_t in_ms, enum op_kind kind, int member);
struct op *sim_later_of(struct world *world, int64_t in_ms, enum op_kind kind, int member,
                        int partition);
void sim_happens_at(struct world *world, struct op *op, int64_t at_ms);
int64_t sim_time_of(const struct op *op);
void sim_settle_at(struct world *world, int member, int64_t due_ms);
bool sim_is_owner(const struct world *world, int member, int partition, int64_t epoch);
struct held *sim_held_new(struct world *world, int member, struct sim_event *about);
void sim_held_free(struct held *held);
struct held *sim_held_of(struct lane_event *event);
struct sim_event *sim_find(struct world *world, int partition, int64_t offset);

/* --- sim_txn.c: commits with what events caused --- */

/* What it causes counts with the commit, if the world transacts. */
bool sim_is_caused(const struct world *world, const struct sim_event *event);
/* The bus does not take what it causes. */
bool sim_is_unkept(const struct world *world, const struct sim_event *event);
/* Its handler is done. */
void sim_ready(struct world *world, int member, struct held *held);
/* What a handler, or the bus of what it caused, says; by whoever has the event. */
void sim_result(struct world *world, int member, struct held *held, enum lane_verdict verdict);
/* Before the machine is settled. Returns when to call again at the latest. */
int64_t sim_transact_due(struct world *world, int member);
void sim_transact_commit(struct world *world, int member, const struct lane_effect *effect);
void sim_transact_send(struct world *world, int member);
/* The bus has it; its member hears of that. */
void sim_transact(struct world *world, struct op *op, bool is_answered);
void sim_transacted(struct world *world, struct op *op);
/* The member is not the partition's owner any more; it lets go of it; of all. */
void sim_disown_ready(struct world *world, int member, int partition);
void sim_drop_ready(struct world *world, int member, int partition);
void sim_free_ready(struct world *world, int member);
void sim_txn_free(struct sim_txn *txn);

/* --- sim_owner.c: who has which partition, what a new owner reads, redrives --- */

void sim_own(struct world *world, int member, int partition);
void sim_give(struct world *world, int member, int partition);
void sim_lose_share(struct world *world, int member, int partition);
void sim_crash(struct world *world, int member);
void sim_op_free(struct op *op, bool has_machine);
void sim_machine_end(struct world *world, int member);
void sim_begin(struct world *world, int member);
void sim_fence_out(struct world *world, int member, int partition);
void sim_move(struct world *world, int member, int partition);
void sim_committed(struct world *world, struct op *op, bool is_answered);
/* The group has it from now on; the text is taken. */
void sim_store(struct world *world, int partition, int64_t offset, char **metadata);
bool sim_is_newest(const struct source *source, size_t at);
void sim_ask_redrive(struct world *world, struct sim_event *event);
void sim_redrive(struct world *world, struct op *op);
void sim_restore(struct world *world, struct op *op);

/* --- sim_pass.c: events that are handled by who reads them --- */

/* True: it was, or is; else it is to arrive. */
bool sim_pass(struct world *world, int member, struct held *held);

/* --- sim_effect.c: what the machines want done --- */

void sim_settle(struct world *world, int member);

/* --- sim_happen.c: what happens, one thing after another --- */

/* What the handler says. */
enum lane_verdict sim_handle(struct world *world, struct held *held, bool *is_refused);
bool sim_step(struct world *world);
void sim_redrive_all(struct world *world);

#endif
