#ifndef TIDINGS_GROUP_CONSUMER_H
#define TIDINGS_GROUP_CONSUMER_H

#include "group/consumer_describe.h"
#include "group/group.h"

/*
 * A consumer group of the new protocol (KIP-848): the same `struct group`, with members that only
 * heartbeat, an assignment that the server computes, and steps towards it (a member gives up
 * partitions before another gets them). Offsets are those of any group.
 *
 * Members of the classic protocol may be in it too: a classic group becomes such a group when a
 * member of the new protocol joins (if group.consumer.migration.policy allows), and a classic one
 * again when the last of these leaves. JoinGroup, SyncGroup, Heartbeat and LeaveGroup of group.h
 * serve both.
 */

/*
 * Takes a member in, hears that it lives, moves it one step towards its target, or lets it go.
 * One GROUP_REPLY_CONSUMER_HEARTBEAT, once what it tells is on disk. Errors, with a message:
 * INVALID, GROUP_NOT_FOUND, UNKNOWN_MEMBER, FENCED_MEMBER_EPOCH, UNRELEASED_INSTANCE,
 * FENCED_INSTANCE, UNSUPPORTED_ASSIGNOR, GROUP_MAX_SIZE, INVALID_REGEX. Nothing changes then.
 * Without a change: no allocation but the reply's, and nothing to store.
 */
void consumer_heartbeat(struct group *group, const struct consumer_heartbeat_request *request,
                        struct clock_time now, struct group_effects *effects);

#endif
