"""What is true: the log as an independent reader sees it, joined with what the services wrote down; and what is wrong with an
answer. It knows who published what, and why, from the events' values, at which stories never look."""
import collections
import json

import confluent_kafka

ENDED = {"passed", "done", "redriven"}
KEY_EVENTS = 50  # so many of one key are told of, the newest


class Event:
    """As it stands in the log."""

    def __init__(self, message):
        value = json.loads(message.value())
        self.topic, self.partition, self.offset = message.topic(), message.partition(), message.offset()
        self.place = f"{self.topic}/{self.partition}/{self.offset}"
        self.ms = message.timestamp()[1]
        self.chain, self.style, self.token = value["chain"], value["style"], value["token"]
        self.cause, self.by, self.key = value["cause"], value["by"], message.key().decode()
        headers = {name: text.decode() for name, text in message.headers() or []}
        self.id, self.source = headers.get("ce_id"), headers.get("ce_source")
        self.causation, self.correlation = headers.get("ce_causationid"), headers.get("ce_correlationid")
        trace = headers.get("traceparent")
        self.trace = trace.split("-")[1] if trace else None
        self.is_plain = not (self.causation or self.correlation or self.trace)

    def names(self):
        """For a message."""
        return (f"{self.place} (id {self.id}, cause {self.causation}, correlation {self.correlation}, trace {self.trace}, "
                f"key {self.key})")

    def terms(self):
        """What it is linked by: two events of a story share one of these."""
        if self.id or self.correlation or self.trace:
            for name in (self.id, self.causation, self.correlation):
                if name:
                    yield "name", name
            if self.trace:
                yield "trace", self.trace
        else:
            yield "key", self.key


def read_log(address, topics, partitions, isolation):
    """All events that a reader of that isolation gets now, by place; and where each partition begins and ends."""
    events, bounds = {}, {}
    consumer = confluent_kafka.Consumer({
        "bootstrap.servers": address, "group.id": "no-group", "enable.auto.commit": False, "enable.partition.eof": True,
        "isolation.level": isolation, "auto.offset.reset": "earliest", "fetch.wait.max.ms": 20})
    places = [confluent_kafka.TopicPartition(topic, partition) for topic in topics for partition in range(partitions)]
    for place in places:
        bounds[place.topic, place.partition] = consumer.get_watermark_offsets(place, timeout=30)
        place.offset = bounds[place.topic, place.partition][0]
    consumer.assign(places)
    ended = set()
    while len(ended) < len(places):
        message = consumer.poll(30)
        if message is None:
            raise AssertionError("the log cannot be read")
        if message.error():
            if message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF:  # pylint: disable=protected-access
                ended.add((message.topic(), message.partition()))
                continue
            raise AssertionError(message.error())
        event = Event(message)
        events[event.place] = event
    consumer.close()
    return events, bounds


def read_commits(address, groups, topics, partitions):
    """What each group has committed: (group, topic, partition): offset."""
    commits = {}
    for group in groups:
        consumer = confluent_kafka.Consumer({"bootstrap.servers": address, "group.id": group, "enable.auto.commit": False})
        places = [confluent_kafka.TopicPartition(topic, partition) for topic in topics for partition in range(partitions)]
        for place in consumer.committed(places, timeout=30):
            if place.error:
                raise AssertionError(place.error)
            if place.offset >= 0:
                commits[group, place.topic, place.partition] = place.offset
        consumer.close()
    return commits


def split_place(place):
    topic, partition, offset = place.rsplit("/", 2)
    return topic, int(partition), int(offset)


class Truth:
    """At an instant at which nothing changes."""

    def __init__(self, committed, everything, bounds, commits):
        self.events, self.bounds, self.commits = committed, bounds, commits
        self.hidden = {place: event for place, event in everything.items() if place not in committed}
        self.by_term = collections.defaultdict(list)
        self.by_token = collections.defaultdict(list)
        self.by_chain = collections.defaultdict(list)
        for event in committed.values():
            self.by_token[event.token].append(event)
            self.by_chain[event.chain].append(event)
            for term in event.terms():
                self.by_term[term].append(event)

    def together(self, first):
        """The places of all that is linked with the events, also over others."""
        seen, open_ = {event.place for event in first}, list(first)
        while open_:
            for term in open_.pop().terms():
                for event in self.by_term[term]:
                    if event.place not in seen:
                        seen.add(event.place)
                        open_.append(event)
        return seen

    def is_whole(self, chain):
        """Nothing of it was taken: each event's cause is there."""
        events = self.by_chain[chain]
        return all(event.cause is None or self.by_token[event.cause] for event in events) and any(
            event.cause is None for event in events)

    def asked_by(self, how, what):
        if how == "id":
            return [event for event in self.events.values() if event.id == what]
        if how == "trace":
            return self.by_term["trace", what]
        if how == "correlation":
            return [event for event in self.by_term["name", what] if what in (event.correlation, event.id)]
        if how == "key":
            return [event for event in self.by_term["key", what] if event.key == what]
        return [self.events[what]] if what in self.events else []

    def questions_of(self, event):
        """The ways to ask for it."""
        yield "place", event.place
        if event.id:
            yield "id", event.id
        if event.trace:
            yield "trace", event.trace
        if event.correlation:
            yield "correlation", event.correlation
        if event.style == "plain" and len(self.by_term["key", event.key]) <= KEY_EVENTS:
            yield "key", event.key

    def reads(self, group, topic):
        """Whether it has a commit for the topic."""
        return any((group, topic, partition) in self.commits for partition in range(100))

    def state_of(self, group, event):
        """What is to be said of a group with a commit for the topic; None: it has none."""
        if not self.reads(group, event.topic):
            return None
        offset = self.commits.get((group, event.topic, event.partition), -1)
        end = self.bounds[event.topic, event.partition][1]
        return "passed" if event.offset < offset <= end else "not-yet"


# --- what is wrong with an answer ---

def wrong_hops(truth, how, what, said):
    wanted = truth.together(truth.asked_by(how, what))
    told = {f"{event['topic']}/{event['partition']}/{event['offset']}" for event in said["events"]}
    for place in sorted(wanted - told):
        yield f"a hop is missing: {truth.events[place].names()}; told are {sorted(told)}"
    for place in sorted(told - wanted):
        yield f"an event that was {'aborted' if place in truth.hidden else 'not of it'} is told: {place}"
    chains = {truth.events[place].chain for place in wanted}
    for chain in chains:
        if truth.is_whole(chain) and len(truth.by_chain[chain]) <= KEY_EVENTS:
            for event in truth.by_chain[chain]:
                if event.place not in told:
                    yield f"a hop of its chain is missing: {event.names()}"


def wrong_links(truth, said):
    events = said["events"]
    by_id = collections.defaultdict(list)
    for event in events:
        if event.get("id") and "copy_of" not in event:
            by_id[event["id"]].append(event)
    for event in events:
        place = f"{event['topic']}/{event['partition']}/{event['offset']}"
        real, link = truth.events.get(place), event["link"]
        if real is None or "copy_of" in event:
            continue
        parent = events[event["parent"]] if event["parent"] is not None else None
        causes = by_id.get(real.causation, []) if real.causation else []
        if causes and (parent is None or parent.get("id") != real.causation):
            yield f"the cause of {place} is not {real.causation}, as it says itself"
        if parent and not causes and link.get("evidence") != "inferred":
            yield f"a guess is not labelled: the parent of {place}"
        if parent and link.get("evidence") == "inferred" and not link.get("note"):
            yield f"a guess without its reason: the parent of {place}"
        if parent and link.get("evidence") == "recorded":
            of_parent = truth.events.get(f"{parent['topic']}/{parent['partition']}/{parent['offset']}")
            if of_parent is None or of_parent.token != real.cause:
                yield f"the parent of {place} is called recorded, and is not its cause"
        for one in event["publishers"]:
            if one["from"] == "ce_source" and one["name"] != "/" + real.by:
                yield f"{place} was published by {real.by}, not by {one['name']}"
            if one["from"] != "ce_source" and one["evidence"] != "inferred":
                yield f"a guess is not labelled: who published {place}"


def wrong_states(truth, groups, said):
    for event in said["events"]:
        place = f"{event['topic']}/{event['partition']}/{event['offset']}"
        real = truth.events.get(place)
        if real is None:
            continue
        told = {group["group"]: group["state"] for group in event["groups"] if group["state"] != "not-subscribed"}
        for group in groups:
            state = truth.state_of(group, real)
            if told.get(group) != state:
                yield f"{group} is {told.get(group)} at {place}, and not {state}"


def wrong_of_taken(truth, groups, what, said):
    """What stood there is gone: it is told so, and who had it before and who never will."""
    topic, partition, offset = split_place(what)
    event = said["events"][0]
    if len(said["events"]) != 1 or event["presence"] != "taken":
        yield f"{what} is gone, and told as {event['presence']}, with {len(said['events'])} events"
        return
    told = {group["group"]: group["state"] for group in event["groups"] if group["state"] != "not-subscribed"}
    for group in groups:
        states = {None}
        if truth.reads(group, topic):
            # One that commits beyond it may have been set to the start of what is left, and never have read it.
            states = {"passed", "gone"} if truth.commits.get((group, topic, partition), -1) > offset else {"gone"}
        if told.get(group) not in states:
            yield f"{group} is {told.get(group)} at {what}, which is gone, and not {states}"


def faults_of(truth, groups, how, what, said):
    """Each thing that is wrong with the answer, as a sentence."""
    if how == "place" and what not in truth.events and what not in truth.hidden:
        yield from wrong_of_taken(truth, groups, what, said)
        return
    if said is None:
        if truth.asked_by(how, what):
            yield f"nothing is known of {how} {what}"
        return
    # Of a key the newest 50 are told; what was taken lately may be among them, and then it says that it is cut.
    if not (said["cut"] and how == "key"):
        if said["cut"]:
            yield f"{how} {what}: cut"
        yield from wrong_hops(truth, how, what, said)
    yield from wrong_links(truth, said)
    yield from wrong_states(truth, groups, said)


# --- while everything goes on ---

class Tail:
    """A service's file, as far as it is written."""

    def __init__(self, path):
        self.path, self.at = path, 0

    def more(self):
        with open(self.path, "rb") as file:
            file.seek(self.at)
            text = file.read()
        whole = text[:text.rfind(b"\n") + 1]
        self.at += len(whole)
        return [json.loads(line) for line in whole.splitlines()]


def note_commits(most, group, lines):
    """most: (group, topic, partition): the furthest that a service set out to commit, in any life of the topic."""
    for line in lines:
        if line["e"] == "commits":
            topic, partition, offset = split_place(line["at"])
            most[group, topic, partition] = max(offset, most.get((group, topic, partition), -1))


def false_ends(most, groups, said):
    """What an answer says is done, though by now nobody has set out to commit it."""
    for event in said["events"]:
        for group in event["groups"]:
            name = group["group"]
            if name in groups and group["state"] in ENDED and most.get(
                    (name, event["topic"], event["partition"]), -1) <= event["offset"]:
                yield f"{name} is {group['state']} at {event['topic']}/{event['partition']}/{event['offset']}: it is not"


# --- the services' own files, against the log ---

def acked(files, made_ms):
    """What was acknowledged in its topic's present life."""
    for path in files:
        for line in Tail(path).more():
            if line["e"] == "acked" and line["ms"] > made_ms[split_place(line["at"])[0]]:
                yield line


def lost(truth, files, made_ms, compacted):
    """Acknowledged events that are not where they were said to be, though nothing took them."""
    for line in acked(files, made_ms):
        topic, partition, offset = split_place(line["at"])
        event = truth.events.get(line["at"])
        is_taken = offset < truth.bounds[topic, partition][0] or (event is None and topic in compacted)
        if not is_taken and (event is None or event.token != line["token"]):
            yield f"{line['token']} was acknowledged at {line['at']}: {event and event.token}"


def taken(truth, files, made_ms):
    """The places of events that were there and are there no more."""
    for line in acked(files, made_ms):
        if line["at"] not in truth.events:
            yield line["at"]
