"""What clients logged, read into one model that the rules of check.py look at.

A history file has one event a line, fields separated by single spaces, written before the next
thing is done. All processes of a machine share the monotonic clock:

    NANOSECONDS PROCESS KIND FIELD ...

    mark TEXT                                        says when something else happened
    topic TOPIC POLICY                               what the topic's cleanup.policy is
    loop GROUP INPUT OUTPUT                          GROUP transforms topic INPUT into topic OUTPUT
    epochs GROUP                                     GROUP has the new protocol (KIP-848)
    damaged TOPIC PARTITION FIRST LAST               stored bits of these offsets were flipped
    send VALUE TOPIC PARTITION KEY TXN INPUT         about to be given to the client library
    acked VALUE OFFSET                               acknowledged (-1: the offset was not told)
    failed VALUE ERROR                               not in the log, said the library
    unknown VALUE ERROR                              may be there, at most once
    begin TXN
    offset TXN GROUP TOPIC PARTITION OFFSET          is to be committed with the transaction
    commit TXN | abort TXN                           about to be asked for
    ended TXN committed|aborted|unknown ERROR
    start READER TOPIC PARTITION POSITION ISOLATION  read_committed or read_uncommitted from here
    see READER TOPIC PARTITION OFFSET KEY VALUE
    end READER TOPIC PARTITION OFFSET                read from the start to here, the end of the log
    asked GROUP TOPIC PARTITION OFFSET               a commit of an offset is about to be sent
    stored GROUP TOPIC PARTITION OFFSET              ... and was acknowledged
    committed GROUP TOPIC PARTITION OFFSET SINCE     what the server said is committed (-1: none),
                                                     asked for at SINCE

VALUE is unique; TXN names one transaction (`-`: none); INPUT is TOPIC/PARTITION/OFFSET of what was
transformed (`-`: nothing). An event whose outcome does not follow is of unknown outcome.
"""
import os
from array import array

LINE_BITS = 32


class Record:
    """One event that somebody sent or saw."""
    __slots__ = ("value", "process", "topic", "partition", "key", "txn", "input", "outcome",
                 "offset", "sent_at", "acked_at", "shown_at", "sent", "acked", "seen", "shown")

    def __init__(self, value):
        self.value = value
        self.process = self.topic = self.key = self.txn = self.input = None
        self.partition = -1
        self.outcome = "unknown"
        self.offset = -1                    # as seen, else as acknowledged
        self.sent_at = self.acked_at = -1
        self.shown_at = -1                  # when a read_committed reader first saw it
        # Lines that show it; `shown` is of a read_committed reader.
        self.sent = self.acked = self.seen = self.shown = None

    def lines(self):
        return [line for line in (self.sent, self.acked, self.seen, self.shown) if line is not None]


class Transaction:
    __slots__ = ("name", "records", "outcome", "commit_at", "ended_at", "commit", "ended")

    def __init__(self, name):
        self.name = name
        self.records = []
        self.outcome = "unknown"
        self.commit_at = self.ended_at = -1
        self.commit = self.ended = None     # lines

    def lines(self):
        return [line for line in (self.commit, self.ended) if line is not None]


class Session:
    """One reader at one partition, from one position on."""
    __slots__ = ("reader", "committed", "position", "told_at", "started_at", "offsets", "end", "line")

    def __init__(self, reader, committed, position, told_at, started_at, line):
        self.reader = reader
        self.committed = committed          # reads committed only
        self.position = position
        self.told_at = told_at              # when it had the partition, and asked where to begin
        self.started_at = started_at
        self.offsets = array("q")
        self.end = -1
        self.line = line


class Partition:
    __slots__ = ("topic", "number", "seen", "shown", "damaged", "sessions", "sent")

    def __init__(self, topic, number):
        self.topic = topic
        self.number = number
        self.seen = {}                      # offset -> Record, by any reader
        self.shown = {}                     # offset -> Record, by readers of committed data
        self.damaged = []                   # (first, last, line)
        self.sessions = []
        self.sent = {}                      # process -> [Record], in order

    def __str__(self):
        return f"{self.topic}-{self.number}"

    def is_damaged(self, offset):
        return any(first <= offset <= last for first, last, _ in self.damaged)


class Offsets:
    """What one group did and was told about one partition: (time, offset, line, ...)."""
    __slots__ = ("asked", "stored", "told", "in_txns", "last_asked", "members")

    def __init__(self):
        self.asked = []
        self.stored = []                    # (time, offset, line, process, asked at)
        self.last_asked = {}                # process -> time
        self.told = []                      # (answered, offset, line, asked)
        self.in_txns = []                   # (Transaction, offset, line)
        self.members = set()                # who was told


class Finding:
    def __init__(self, kind, text, lines):
        self.kind = kind
        self.text = text
        self.lines = lines


class History:
    """All files of one run. `findings` holds what contradicts itself already while it is read."""

    def __init__(self):
        self.files = []
        self.records = {}
        self.transactions = {}
        self.partitions = {}
        self.groups = {}
        self.loops = []
        self.by_epoch = set()               # groups of the new protocol
        self.told = {}                      # (process, topic, partition) -> when it asked
        self.begun = {}                     # (process, when it asked) -> when the last partition began
        self.policies = {}
        self.findings = []
        self.compacted_away = set()         # values that a newer event of their key replaced
        self.line_count = 0
        self.open_sessions = {}
        self.handlers = {name[3:]: getattr(self, name) for name in dir(self)
                         if name.startswith("on_")}

    def find(self, kind, text, lines):
        self.findings.append(Finding(kind, text, lines))

    def load(self, path):
        base = len(self.files) << LINE_BITS
        self.files.append(path)
        handlers = self.handlers
        with open(path, encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not line.endswith("\n"):
                    break                   # its writer was killed within the line
                fields = line.split()
                try:
                    handlers[fields[2]](base + number, int(fields[0]), fields[1], *fields[3:])
                except (KeyError, IndexError, ValueError, TypeError) as error:
                    raise SystemExit(f"{path}:{number}: no event: {line.strip()} ({error})")
                self.line_count += 1

    def text_of(self, lines):
        """The lines as FILE:NUMBER: TEXT."""
        wanted = {}
        for line in dict.fromkeys(lines):
            wanted.setdefault(line >> LINE_BITS, []).append(line & ((1 << LINE_BITS) - 1))
        texts = []
        for index, numbers in wanted.items():
            left = set(numbers)
            with open(self.files[index], encoding="utf-8") as file:
                for number, text in enumerate(file, 1):
                    if number in left:
                        left.remove(number)
                        name = os.path.basename(self.files[index])
                        texts.append(f"{name}:{number}: {text.strip()}")
                        if not left:
                            break
        return texts

    def record(self, value):
        found = self.records.get(value)
        if found is None:
            found = self.records[value] = Record(value)
        return found

    def transaction(self, name):
        found = self.transactions.get(name)
        if found is None:
            found = self.transactions[name] = Transaction(name)
        return found

    def partition(self, topic, number):
        key = (topic, number)
        found = self.partitions.get(key)
        if found is None:
            found = self.partitions[key] = Partition(topic, int(number))
        return found

    def group(self, group, topic, number):
        return self.groups.setdefault((group, topic, number), Offsets())

    # ---- one method a kind of event ----

    def on_mark(self, *_):
        pass

    def on_topic(self, _line, _at, _process, topic, policy):
        self.policies[topic] = policy

    def on_epochs(self, _line, _at, _process, group):
        self.by_epoch.add(group)

    def on_loop(self, _line, _at, _process, group, source, target):
        self.loops.append((group, source, target))

    def on_damaged(self, line, _at, _process, topic, number, first, last):
        self.partition(topic, number).damaged.append((int(first), int(last), line))

    def on_send(self, line, at, process, value, topic, number, key, txn, source):
        record = self.record(value)
        if record.sent is not None:
            self.find("bad-history", f"{value} was sent twice", [record.sent, line])
        self.identify(record, topic, int(number), key, line)
        record.process, record.sent, record.sent_at = process, line, at
        if source != "-":
            record.input = source
        if txn != "-":
            record.txn = self.transaction(txn)
            record.txn.records.append(record)
        self.partition(topic, number).sent.setdefault(process, []).append(record)

    def on_acked(self, line, at, _process, value, offset):
        record = self.record(value)
        record.acked, record.acked_at, record.outcome = line, at, "acked"
        self.place(record, int(offset), line)

    def on_failed(self, line, _at, _process, value, *_error):
        record = self.record(value)
        record.acked, record.outcome = line, "failed"

    def on_unknown(self, line, _at, _process, value, *_error):
        self.record(value).acked = line

    def on_begin(self, _line, _at, _process, txn):
        self.transaction(txn)

    def on_offset(self, line, _at, _process, txn, group, topic, number, offset):
        self.group(group, topic, number).in_txns.append(
            (self.transaction(txn), int(offset), line))

    def on_commit(self, line, at, _process, txn):
        transaction = self.transaction(txn)
        transaction.commit, transaction.commit_at = line, at

    def on_abort(self, _line, _at, _process, txn):
        self.transaction(txn)

    def on_ended(self, line, at, _process, txn, outcome, *_error):
        transaction = self.transaction(txn)
        transaction.ended, transaction.ended_at, transaction.outcome = line, at, outcome

    def on_start(self, line, at, _process, reader, topic, number, position, isolation):
        told_at = self.told.pop((reader, topic, number), at)
        self.begun[reader, told_at] = at
        session = Session(reader, isolation == "read_committed", int(position), told_at, at, line)
        self.partition(topic, number).sessions.append(session)
        self.open_sessions[reader, topic, number] = session

    def on_see(self, line, at, _process, reader, topic, number, offset, key, value):
        offset = int(offset)
        session = self.open_sessions[reader, topic, number]
        record = self.record(value)
        if record.seen is None:
            record.seen = line
        self.identify(record, topic, int(number), key, line)
        self.check_position(session, offset, record, topic, number, line)
        session.offsets.append(offset)
        self.place(record, offset, line)
        partition = self.partitions[topic, number]
        there = partition.seen.setdefault(offset, record)
        if there is not record:
            self.find("disagreement", f"{partition} offset {offset} holds {there.value} for one "
                      f"reader and {value} for another", there.lines() + [line])
        if session.committed:
            partition.shown.setdefault(offset, record)
            if record.shown is None:
                record.shown = line
            if record.shown_at < 0 or at < record.shown_at:
                record.shown, record.shown_at = line, at

    def check_position(self, session, offset, record, topic, number, line):
        last = session.offsets[-1] if session.offsets else session.position - 1
        if offset <= last:
            self.find("reader-order", f"{session.reader} saw offset {offset} of {topic}-{number} "
                      f"after {last}", [session.line, record.seen, line])

    def identify(self, record, topic, number, key, line):
        if record.key is None:
            record.topic, record.partition, record.key = topic, number, key
        elif record.key != key or record.partition != number or record.topic != topic:
            where = f"{record.topic}-{record.partition}"
            self.find("disagreement", f"{record.value} is of {where}, key {record.key}",
                      record.lines() + [line])

    def place(self, record, offset, line):
        if record.offset < 0:
            record.offset = offset
        elif 0 <= offset != record.offset:
            self.find("duplicate", f"{record.value} is at {record.offset} and at {offset}",
                      record.lines() + [line])

    def on_end(self, line, _at, _process, reader, topic, number, offset):
        self.open_sessions[reader, topic, number].end = int(offset)
        self.open_sessions[reader, topic, number].line = line

    def on_asked(self, line, at, process, group, topic, number, offset):
        offsets = self.group(group, topic, number)
        offsets.asked.append((at, int(offset), line))
        offsets.last_asked[process] = at

    def on_stored(self, line, at, process, group, topic, number, offset):
        offsets = self.group(group, topic, number)
        offsets.stored.append((at, int(offset), line, process, offsets.last_asked[process]))

    def on_committed(self, line, at, process, group, topic, number, offset, since):
        offsets = self.group(group, topic, number)
        offsets.told.append((at, int(offset), line, int(since)))
        offsets.members.add(process)
        self.told[process, topic, number] = int(since)
