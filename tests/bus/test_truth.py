#!/usr/bin/python3
"""The proof of `tidings why`: services in many languages that know nothing of us (tests/bus/foreign/README.md), killed with the bus
and the layers beside it, with aborted transactions, retries, topics that are made again and records that are taken away (in the
long form also by retention and compaction); and an oracle that knows the truth asks.

$STORY_QUESTIONS: how many questions [250]; `make story` asks 10,000, with services in Java and Go too. $STORY_SEED [1].
$STORY_KEEP: a directory that is not there yet, where all files stay when something is wrong: the bus, both layers' state, what the
services wrote down, and evidence.json (the question, the log and what each layer said). Without it they are removed.
"""
import collections
import copy
import json
import os
import random
import sys
import tempfile
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE), os.path.join(HERE, "foreign")]
from harness.server import wait_for  # noqa: E402
import oracle  # noqa: E402
import world  # noqa: E402

QUESTIONS = int(os.environ.get("STORY_QUESTIONS", "250"))
SEED = int(os.environ.get("STORY_SEED", "1"))
KEEP = os.environ.get("STORY_KEEP")
IS_LONG = QUESTIONS >= 1000
IN_A_ROUND = 500 if IS_LONG else QUESTIONS
FAULTS = 10 if IS_LONG else 5  # of a round
BETWEEN = 60 if IS_LONG else 40  # events that services publish between two faults
CALM = 150  # and before the first one
FAR_S = 120  # so long a hop may be away: the bus or a layer may be, and an open transaction of one who was killed holds back others


class Live(threading.Thread):
    """Asks while everything goes on: how soon what a service published is told, and whether something is said to be done
    that is not."""

    def __init__(self, place):
        super().__init__(daemon=True)
        self.place, self.ends, self.rng = place, threading.Event(), random.Random(SEED)
        self.tails = {service.name: oracle.Tail(service.truth) for service in place.services}
        self.most, self.acked, self.wrong, self.at_work = {}, 0, [], set()
        self.lags = collections.defaultdict(list)  # since when, by whom and in what times: ms
        self.asked = self.not_answered = self.faults = 0
        self.waits_for = None
        self.slowest = (0,)
        self.failure = None
        self.read_on()  # what was published before is no news
        self.acked, self.at_work = 0, set()

    def read_on(self):
        """Of each service the newest event that was not seen before."""
        newest = []
        for name, tail in self.tails.items():
            lines = tail.more()
            oracle.note_commits(self.most, name, lines)
            self.at_work |= {name for line in lines if line["e"] == "took"}
            acked = [line for line in lines if line["e"] == "acked"]
            self.acked += len(acked)
            newest += acked[-1:]
        return newest

    def story(self, of, how, what):
        """None: there is none, or nobody to ask."""
        try:
            said = self.place.story(of, how, what)
        except (OSError, ValueError, AttributeError):
            self.not_answered += 1
            return None
        self.asked += said is not None
        if said:
            self.newest += self.read_on()
            self.wrong += oracle.false_ends(self.most, self.groups, said)
        return said

    def is_gone(self, line):
        topic, partition, offset = oracle.split_place(line["at"])
        return (self.place.made_ms[topic] > line["ms"] or offset < self.place.starts.get((topic, partition), 0)
                or self.is_taken((topic, partition, offset)))

    def is_taken(self, place):
        try:
            return self.place.is_taken(place)
        except (OSError, ValueError, AttributeError):
            return False  # nobody says

    def question_of(self, of, line):
        """How to ask for it by what the index has; the log knows what that is."""
        topic, partition, offset = oracle.split_place(line["at"])
        said = self.story(of, "place", line["at"])
        for event in said["events"] if said else []:
            if (event["topic"], event["partition"], event["offset"]) == (topic, partition, offset):
                for how, name in (("id", "id"), ("trace", "trace"), ("key", "key")):
                    if event.get(name):
                        return how, event[name]
        return None

    def look(self, line):
        """An event that was acknowledged can be read when no open transaction stands before it, and the bus is there: late
        is what comes late behind that."""
        of = self.rng.choice((self.place.server, self.place.beside))
        place, until, faults = oracle.split_place(line["at"]), time.monotonic() + FAR_S, self.faults
        question, readable_ms, is_readable, tries = None, line["ms"], False, 0
        while not self.ends.is_set() and not self.is_gone(line):
            asked_ms = time.time() * 1000
            is_readable = is_readable or self.place.can_read(place)
            if not is_readable:
                readable_ms = asked_ms
                self.ends.wait(0.005)
            question = question or (self.question_of(of, line) if is_readable else None)
            self.waits_for = line["at"], is_readable, question
            said = self.story(of, *question) if question else None
            tries += 1
            if said and place in [(event["topic"], event["partition"], event["offset"]) for event in said["events"]]:
                self.note_lags(of, faults == self.faults == 0, asked_ms - line["ms"], asked_ms - readable_ms)
                self.slowest = max(self.slowest, (round(asked_ms - readable_ms), f"{tries} tries", line["at"], question,
                                                  "beside the server" if of is self.place.beside else "in the server",
                                                  self.place.faults[faults - self.faults - 1:]))
                return
            if time.monotonic() > until:
                self.wrong.append(f"{line} is not told within {FAR_S} s; can be read: {is_readable}; asked: {question}")
                return

    def note_lags(self, of, is_calm, after_ack_ms, after_readable_ms):
        when = "calm" if is_calm else "faults"
        who = "beside the server" if of is self.place.beside else "in the server"
        self.lags[f"after its acknowledgement, {who}, {when}"].append(max(0, after_ack_ms))
        self.lags[f"after it could be read, {who}, {when}"].append(max(0, after_readable_ms))

    def run(self):
        self.groups = {service.name for service in self.place.services if "kcat" not in service.language}
        self.newest = []
        try:
            while not self.ends.is_set():
                self.newest += self.read_on()
                for line in self.newest[-1:]:  # one that waited here for the question before would count as late
                    self.newest.clear()
                    self.look(line)
                self.ends.wait(0.005)
        except Exception as failure:  # pylint: disable=broad-except
            self.failure = failure

    def stop(self):
        self.ends.set()
        self.join(2 * FAR_S)
        if self.failure:
            raise self.failure


class Proof(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        if KEEP:
            os.mkdir(KEEP)
            folder = KEEP
        else:
            temporary = tempfile.TemporaryDirectory(prefix="tidings-truth-")
            self.addCleanup(temporary.cleanup)
            folder = temporary.name
        self.place = world.World(folder, SEED, IS_LONG)
        self.addCleanup(self.place.close)
        self.rng = random.Random(SEED)
        self.ways = collections.Counter()
        self.styles = collections.Counter()
        self.evidence = collections.Counter()
        self.late = []
        for why in self.place.missing:
            print(f"not here: {why}", file=sys.stderr)

    def wait_acked(self, live, count, at_work=()):
        """at_work: who has to have taken something by then as well."""
        until = live.acked + count

        def look():
            if live.failure:
                raise live.failure
            self.assertEqual(live.wrong[:10], [])
            return live.acked >= until and live.at_work.issuperset(at_work)
        try:
            wait_for(look, f"{count} events of services after {self.place.faults[-1:]}", 2 * FAR_S)
        except AssertionError as error:
            raise AssertionError(f"{error}; at work were {live.at_work}; the last that was looked for was "
                                 f"{live.waits_for}") from None

    def work(self, has_calm):
        """A while of it; the thread that asked meanwhile."""
        live = Live(self.place)
        self.place.take_away(True)
        for service in (*self.place.services, self.place.source):
            service.start()
        live.start()
        if has_calm:
            self.wait_acked(live, CALM, {service.name for service in self.place.services})
        for _ in range(FAULTS):
            live.faults += 1
            said = self.place.fault(self.rng)
            if IS_LONG:
                print(said, flush=True)
            self.wait_acked(live, BETWEEN)
        live.stop()
        self.place.stop_all()
        self.place.wait_level()
        self.assertEqual(live.wrong, [])
        return live

    def ask(self, how, what):
        """By HTTP or by the command, of one of the layers."""
        of = self.rng.choice((self.place.server, self.place.beside))
        if self.rng.random() < 0.03 and how == "id":
            out, _ = self.place.server.run("why", what, "--json", "--max", "1000", code=None)
            return json.loads(out) if out else None
        return self.place.surely_story(of, how, what)

    def question(self, truth):
        """Of a committed event mostly, sometimes of one that was aborted, or that is gone."""
        if self.taken and self.rng.random() < 0.05:
            return "place", self.rng.choice(self.taken)
        if truth.hidden and self.rng.random() < 0.05:
            event = self.rng.choice(list(truth.hidden.values()))
            return ("id", event.id) if event.id else ("key", event.key) if event.is_plain else ("trace", event.trace)
        event = self.rng.choice(self.events)
        return self.rng.choice(list(truth.questions_of(event)))

    def count(self, how, said):
        self.ways[how] += 1
        for event in said["events"] if said else []:
            self.styles[event["link"]["how"]] += 1
            self.evidence[event["link"].get("evidence", "root")] += 1
            for group in event["groups"]:
                self.evidence[group["state"]] += 1

    def ask_all(self, truth, count):
        groups = [service.name for service in self.place.services]
        self.events = list(truth.events.values())
        wrong = []
        for _ in range(count):
            how, what = self.question(truth)
            said = self.ask(how, what)
            self.count(how, said)
            found = list(oracle.faults_of(truth, groups, how, what, said))
            if found and all("missing" in fault or "nothing is known" in fault for fault in found):
                found = self.ask_late(truth, how, what, found)
            wrong += [f"{how} {what}: {fault}" for fault in found]
            if len(wrong) > 20:
                break
        self.assertEqual(wrong[:20], [], f"seed {SEED}, after {self.place.faults}")

    def ask_late(self, truth, how, what, found):
        """What is missing is asked for again for a while: what comes late is counted, and told; what stays away is a
        fault."""
        groups = [service.name for service in self.place.services]

        def is_there():
            return all(not list(oracle.faults_of(truth, groups, how, what, self.place.surely_story(of, how, what)))
                       for of in (self.place.server, self.place.beside))
        try:
            wait_for(is_there, "a hop that was late", 15)
        except AssertionError:
            self.keep_evidence(truth, how, what)
            return found
        self.late.append(found[0])
        return []

    def keep_evidence(self, truth, how, what):
        """What stays away: for whoever looks for the reason."""
        if not KEEP or os.path.exists(os.path.join(KEEP, "evidence.json")):
            return
        groups = [service.name for service in self.place.services]
        evidence = {"how": how, "what": what, "seed": SEED, "faults": self.place.faults, "layers": {}}
        for name, of in (("server", self.place.server), ("beside", self.place.beside)):
            said = self.place.surely_story(of, how, what)
            wanted = truth.together(truth.asked_by(how, what))
            told = {f"{event['topic']}/{event['partition']}/{event['offset']}" for event in said["events"]} if said else set()
            evidence["layers"][name] = {
                "wrong": list(oracle.faults_of(truth, groups, how, what, said)), "said": said,
                "layer": self.place.ask(of, "/v1/layer"),
                "missing": {place: self.place.surely_story(of, "place", place) for place in sorted(wanted - told)}}
        with open(os.path.join(KEEP, "evidence.json"), "w", encoding="utf-8") as file:
            json.dump(evidence, file, indent=1)

    def see_planted(self, truth):
        """The oracle is no good if it does not see what is false."""
        groups = [service.name for service in self.place.services]

        def seen(plant, what):
            for event in self.rng.sample(self.events, len(self.events)):
                said = self.place.surely_story(self.place.server, "place", event.place)
                if said and plant(said):
                    found = list(oracle.faults_of(truth, groups, "place", event.place, said))
                    self.assertTrue(any(what in fault for fault in found), f"{what}: {found}")
                    return
            self.fail(f"there is nothing to plant '{what}' into")

        def passed_too_soon(said):
            for event in said["events"]:
                for group in event["groups"]:
                    if truth.commits.get((group["group"], event["topic"], event["partition"])) == event["offset"]:
                        group["state"] = "passed"
                        return True
            return False

        def without_hop(said):
            return len(said["events"]) > 2 and said["events"].pop(1 if not said["events"][1].get("asked") else 2)

        def unlabelled(said):
            for event in said["events"]:
                if event["link"].get("evidence") == "inferred" and event["parent"] is not None and "copy_of" not in event:
                    event["link"]["evidence"] = "recorded"
                    return True
            return False

        def with_aborted(said):
            place = next(iter(truth.hidden))
            topic, partition, offset = oracle.split_place(place)
            said["events"].append(dict(copy.deepcopy(said["events"][0]), topic=topic, partition=partition, offset=offset))
            return True
        seen(passed_too_soon, "is passed at")
        seen(without_hop, "a hop")
        seen(unlabelled, "a guess is not labelled")
        if truth.hidden:
            seen(with_aborted, "aborted is told")
        self.assertTrue(list(oracle.false_ends({}, {"a"}, {"events": [
            {"topic": "t", "partition": 0, "offset": 1, "groups": [{"group": "a", "state": "passed"}]}]})))

    def tell(self, lags, began_s):
        languages = ", ".join(sorted({service.language for service in self.place.services}))
        print(f"\n{sum(self.ways.values())} questions {dict(self.ways)} in {time.monotonic() - began_s:.0f} s, seed {SEED}; services in "
              f"{languages}; events told by {dict(self.styles)}; said: {dict(self.evidence)}; faults: "
              f"{dict(collections.Counter(fault.split()[0] for fault in self.place.faults))}, "
              f"{sum(service.starts - 1 for service in self.place.services)} new starts of services; events that retention or a "
              f"client took, at the end: {len(self.taken)}; told late: {self.late}")
        for kind, of in lags.items():
            of.sort()
            if of:
                print(f"told {kind} ({len(of)}): p50 {of[len(of) // 2]:.0f} ms, "
                      f"p90 {of[len(of) * 9 // 10]:.0f}, p99 {of[len(of) * 99 // 100]:.0f}, longest {of[-1]:.0f}")

    def test_no_answer_is_false(self):
        began_s, lags, left = time.monotonic(), collections.defaultdict(list), QUESTIONS
        while left > 0:
            live = self.work(has_calm=left == QUESTIONS)
            for kind, of in live.lags.items():
                lags[kind] += of
            truth = self.place.truth()
            files = [service.truth for service in (self.place.source, *self.place.services)]
            self.assertEqual(list(oracle.lost(truth, files, self.place.made_ms, self.place.compacted))[:10], [])
            self.taken = list(oracle.taken(truth, files, self.place.made_ms))
            self.ask_all(truth, min(left, IN_A_ROUND))
            left -= IN_A_ROUND
            if IS_LONG:
                print("the slowest of it:", live.slowest)
                self.tell(lags, began_s)
        self.see_planted(truth)
        self.tell(lags, began_s)
        self.assertGreater(live.asked, 0)


if __name__ == "__main__":
    unittest.main()
