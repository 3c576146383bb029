#!/usr/bin/python3
"""Judges a history: tests/campaign/check.py FILE-OR-FOLDER ...

Reads the lines that clients wrote (the format stands in history.py), names every contradiction with
the lines that show it, and ends with exit code 1 when there is one. What it looks for:

    lost            acknowledged (or committed), and not there
    duplicate       one event at two offsets
    reorder-key, reorder-partition   one process's events in another order than sent, or an event
                    behind one that was sent only after it had been acknowledged
    reader-order, skipped   a reader went back, or missed what others saw
    disagreement    two readers saw different events at one place
    phantom         seen, but never sent, or reported as failed for sure
    dirty-read      a read_committed reader saw an event of a transaction that is not committed
    torn            a transaction of which some events are visible and some are not
    offset-back     a committed offset that was acknowledged is gone, or one nobody sent is told
    two-owners      a member's commit was acknowledged though a later owner of the partition had
                    committed before
    transformed-twice, not-transformed, ahead-of-offset   not exactly once from input to output
    incomplete      the history does not let us judge: nobody read a partition to its end
"""
import os
import sys
import time
from array import array
from bisect import bisect_left

import history as model

SHOWN_PER_KIND = 5


def is_compacted(history, topic):
    return "compact" in history.policies.get(topic, "delete")


def all_sent(partition):
    for records in partition.sent.values():
        yield from records


# ---- loss ----

def should_be_there(record):
    """For every reader, whatever its isolation."""
    if record.outcome == "failed":
        return False
    if record.txn is not None:
        return record.txn.outcome == "committed"
    return record.outcome == "acked"


def newest_of_keys(partition):
    """The last offset of each key, aborted transactions left out: these replace nothing."""
    newest = {}
    for offset, record in partition.seen.items():
        counts_too = record.txn is None or record.shown is not None
        if counts_too and offset > newest.get(record.key, -1):
            newest[record.key] = offset
    return newest


def check_loss_in(history, partition, session, there, newest):
    for record in all_sent(partition):
        if not should_be_there(record) or partition.is_damaged(record.offset):
            continue
        told_at = record.txn.ended_at if record.txn is not None else record.acked_at
        offset = record.offset
        if offset >= 0 and offset in there or offset < 0 and record.seen is not None:
            continue
        if 0 <= offset < session.position or (not 0 <= offset < session.end
                                              and told_at > session.started_at):
            continue
        if newest is not None and offset < newest.get(record.key, -1):
            history.compacted_away.add(record.value)
            continue
        lines = record.lines() + (record.txn.lines() if record.txn else []) + [session.line]
        history.find("lost", f"{record.value}: {partition} offset {offset} is not there for "
                     f"{session.reader}, which read to {session.end}", lines)


def check_loss(history):
    for partition in history.partitions.values():
        if not partition.sent:
            continue
        ended = [session for session in partition.sessions if session.end >= 0]
        newest = newest_of_keys(partition) if is_compacted(history, partition.topic) else None
        for session in ended:
            check_loss_in(history, partition, session, set(session.offsets), newest)
        if not ended:
            history.find("incomplete", f"nobody read {partition} to its end", [])


# ---- order ----

def report_order(history, partition, first, second, why):
    kind = "reorder-key" if first.key == second.key else "reorder-partition"
    history.find(kind, f"{partition}: {second.value} is at {second.offset}, before {first.value} "
                 f"at {first.offset}, {why}", first.lines() + second.lines())


def check_order_of_processes(history):
    for partition in history.partitions.values():
        for records in partition.sent.values():
            last = None
            last_of_key = {}
            for record in records:
                if record.offset < 0:
                    continue
                before = last_of_key.get(record.key, last)
                for other in (before, last):
                    if other is not None and record.offset < other.offset:
                        report_order(history, partition, other, record, "though sent after it")
                        break
                if last is None or record.offset > last.offset:
                    last = record
                last_of_key[record.key] = record


def check_order_in_time(history):
    """What was acknowledged before another was sent stands before it, whoever sent them."""
    for partition in history.partitions.values():
        placed = sorted((record for record in all_sent(partition) if record.offset >= 0),
                        key=lambda record: record.offset)
        newest = None
        for record in placed:
            if newest is not None and 0 <= record.acked_at < newest.sent_at:
                report_order(history, partition, record, newest,
                             "which was acknowledged before the other was sent")
            if newest is None or record.sent_at > newest.sent_at:
                newest = record


# ---- readers ----

def check_phantoms(history):
    for record in history.records.values():
        if record.seen is not None and record.sent is None:
            history.find("phantom", f"{record.value} was never sent", record.lines())
        elif record.seen is not None and record.outcome == "failed":
            history.find("phantom", f"{record.value} is there though it failed", record.lines())


def check_session(history, partition, session, visible):
    first = bisect_left(visible, session.position)
    last = session.end - 1 if session.end >= 0 else session.offsets[-1] if session.offsets else -1
    beyond = bisect_left(visible, last + 1)
    if beyond - first <= len(session.offsets):
        return                              # sees are in order and each is visible: none is missing
    seen = set(session.offsets)
    for offset in visible[first:beyond]:
        if offset not in seen and not partition.is_damaged(offset):
            history.find("skipped", f"{session.reader} missed offset {offset} of {partition}",
                         [session.line] + partition.seen[offset].lines())
            return                          # one of a session is enough


def check_sessions(history):
    for partition in history.partitions.values():
        if is_compacted(history, partition.topic):
            continue                        # what one saw may be gone for the next
        seen = array("q", sorted(partition.seen))
        shown = array("q", sorted(partition.shown))
        for session in partition.sessions:
            check_session(history, partition, session, shown if session.committed else seen)


# ---- transactions ----

def check_dirty_reads(history):
    for record in history.records.values():
        txn = record.txn
        if txn is None or record.shown is None:
            continue
        lines = record.lines() + txn.lines()
        if txn.outcome == "aborted":
            history.find("dirty-read", f"{record.value} of {txn.name} is shown though it was "
                         "aborted", lines)
        elif txn.commit is None:
            history.find("dirty-read", f"{record.value} of {txn.name} is shown though nobody asked "
                         "to commit it", lines)
        elif record.shown_at < txn.commit_at:
            history.find("dirty-read", f"{record.value} of {txn.name} was shown before anybody "
                         "asked to commit it", lines)


def read_to_end(history, record):
    partition = history.partitions[record.topic, str(record.partition)]
    return (not is_compacted(history, record.topic) and not partition.is_damaged(record.offset)
            and any(session.committed and session.position == 0
                    and session.end > record.offset for session in partition.sessions))


def check_torn(history):
    for txn in history.transactions.values():
        if txn.outcome == "aborted" or txn.commit is None:
            continue
        shown = [record for record in txn.records if record.shown is not None]
        hidden = [record for record in txn.records
                  if record.shown is None and read_to_end(history, record)]
        if shown and hidden:
            history.find("torn", f"{txn.name}: {len(shown)} of its events are visible, "
                         f"{len(hidden)} are not", txn.lines() + shown[0].lines()
                         + hidden[0].lines())


# ---- offsets of groups ----

def check_group(history, name, offsets):
    asked = list(offsets.asked)
    stored = [(at, offset, line) for at, offset, line, _, _ in offsets.stored]
    for txn, offset, line in offsets.in_txns:
        if txn.commit is not None and txn.outcome != "aborted":
            asked.append((txn.commit_at, offset, line))
        if txn.outcome == "committed":
            stored.append((txn.ended_at, offset, txn.ended))
    asked.sort()
    stored.sort()
    where = f"group {name[0]}, {name[1]}-{name[2]}"
    lowest = highest = None
    next_stored = next_asked = 0
    for answered, offset, line, since in sorted(offsets.told, key=lambda told: told[3]):
        while next_stored < len(stored) and stored[next_stored][0] < since:
            if lowest is None or stored[next_stored][1] > lowest[1]:
                lowest = stored[next_stored]
            next_stored += 1
        # Answers may overlap; then the ceiling is a little too high for the later one.
        while next_asked < len(asked) and asked[next_asked][0] < answered:
            if highest is None or asked[next_asked][1] > highest[1]:
                highest = asked[next_asked]
            next_asked += 1
        if lowest is not None and offset < lowest[1]:
            history.find("offset-back", f"{where}: {offset} is committed, {lowest[1]} was "
                         "acknowledged before", [lowest[2], line])
        if offset >= 0 and (highest is None or offset > highest[1]):
            history.find("offset-back", f"{where}: {offset} is committed, which nobody asked for",
                         ([highest[2]] if highest else []) + [line])


def began_reading(sessions, process, at):
    """When the process was given the partition that it held at this time; -1: never."""
    began = sessions.get(process, [])
    index = bisect_left(began, at)
    return began[index - 1] if index > 0 else -1


def begun_too_late(sessions, begun):
    """(process, when it began): another was given the partition while it asked where to begin. Until its
    listener returns, Java's client says that it owns nothing, so that the group may give away what it was
    given; and in the new protocol the broker looks at a commit's epoch alone, as Apache Kafka does."""
    return {(late.reader, late.started_at) for late in sessions for other in sessions
            if other.reader != late.reader and
            late.told_at < other.told_at < begun[late.reader, late.told_at]}


def check_owners(history, name, offsets):
    """Members hold a partition one after the other, in both group protocols. That one says it began
    proves nothing (it may have slept since it was told), but its acknowledged commit does."""
    group, topic, number = name
    mine = [session for session in history.partition(topic, number).sessions
            if session.reader in offsets.last_asked or session.reader in offsets.members]
    sessions = {}
    for session in mine:
        sessions.setdefault(session.reader, []).append(session.started_at)
    late = begun_too_late(mine, history.begun) if group in history.by_epoch else set()
    stored = sorted(commit for commit in offsets.stored
                    if (commit[3], began_reading(sessions, commit[3], commit[4])) not in late)
    newest = None
    next_stored = 0
    for _, offset, line, process, asked in sorted(stored, key=lambda commit: commit[4]):
        while next_stored < len(stored) and stored[next_stored][0] < asked:
            _, _, other_line, other, other_asked = stored[next_stored]
            began = began_reading(sessions, other, other_asked)
            if newest is None or began > newest[0]:
                newest = (began, other, other_line)
            next_stored += 1
        if newest is not None and newest[1] != process and \
                0 <= began_reading(sessions, process, asked) < newest[0]:
            history.find("two-owners", f"group {group}, {topic}-{number}: {process} committed "
                         f"{offset}, after {newest[1]} had got the partition and committed",
                         [newest[2], line])


def check_groups(history):
    for name, offsets in list(history.groups.items()):
        check_group(history, name, offsets)
        check_owners(history, name, offsets)


# ---- consume, transform, produce ----

def outputs_by_input(history, target):
    made = {}
    for (topic, _), partition in history.partitions.items():
        if topic != target:
            continue
        for record in partition.shown.values():
            if record.input is None:
                continue
            before = made.setdefault(record.input, record)
            if before is not record:
                history.find("transformed-twice", f"{record.input} became {before.value} and "
                             f"{record.value}", before.lines() + record.lines())
    return made


def check_loop(history, group, source, target):
    made = outputs_by_input(history, target)
    for (topic, number), partition in history.partitions.items():
        if topic != source or (group, topic, number) not in history.groups:
            continue
        told = history.groups[group, topic, number].told
        if not told:
            continue
        _, committed, line, _ = max(told)
        for offset, record in partition.shown.items():
            output = made.get(f"{topic}/{number}/{offset}")
            if offset < committed and output is None:
                history.find("not-transformed", f"{partition} offset {offset} lies before the "
                             f"committed {committed}, but has no output", record.lines() + [line])
            elif offset >= committed and output is not None:
                history.find("ahead-of-offset", f"{partition} offset {offset} has an output, but "
                             f"only {committed} is committed", output.lines() + [line])


def check_loops(history):
    for loop in history.loops:
        check_loop(history, *loop)


RULES = [check_loss, check_order_of_processes, check_order_in_time, check_phantoms, check_sessions,
         check_dirty_reads, check_torn, check_groups, check_loops]


def check(paths):
    """Reads the files, applies every rule, returns the History with its findings."""
    history = model.History()
    for path in paths:
        history.load(path)
    for rule in RULES:
        rule(history)
    return history


def files_of(arguments):
    paths = []
    for argument in arguments:
        if os.path.isdir(argument):
            paths += [os.path.join(argument, name) for name in sorted(os.listdir(argument))
                      if name.endswith(".history")]
        else:
            paths.append(argument)
    return paths


def counts(history):
    """What was judged, as (name, number)."""
    acked = sum(record.outcome == "acked" for record in history.records.values())
    unknown = sum(record.outcome == "unknown" for record in history.records.values())
    outcomes = [txn.outcome for txn in history.transactions.values()]
    sessions = [session for partition in history.partitions.values()
                for session in partition.sessions]
    return {"lines": history.line_count, "events": len(history.records), "acknowledged": acked,
            "of unknown outcome": unknown,
            "transactions committed": outcomes.count("committed"),
            "aborted": outcomes.count("aborted"), "in doubt": outcomes.count("unknown"),
            "reads": sum(len(session.offsets) for session in sessions),
            "commits acknowledged": sum(len(group.stored) for group in history.groups.values()),
            "positions resumed": sum(len(group.told) for group in history.groups.values()),
            "compacted away": len(history.compacted_away)}


def verdict(history):
    """The report as text; the history is good when there is no finding."""
    lines = [", ".join(f"{number} {name}" for name, number in counts(history).items())]
    by_kind = {}
    for finding in history.findings:
        by_kind.setdefault(finding.kind, []).append(finding)
    for kind, findings in by_kind.items():
        lines.append(f"{kind}: {len(findings)}")
        for finding in findings[:SHOWN_PER_KIND]:
            lines.append(f"  {finding.text}")
            lines += ["      " + text for text in history.text_of(finding.lines)]
    lines.append(f"{len(history.findings)} anomalies" if history.findings else "no anomaly")
    return "\n".join(lines)


def main(arguments):
    if not arguments:
        print(__doc__)
        return 2
    began = time.monotonic()
    history = check(files_of(arguments))
    print(verdict(history))
    print(f"checked in {time.monotonic() - began:.1f} s")
    return 1 if history.findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
