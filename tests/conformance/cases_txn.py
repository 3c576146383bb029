"""Transactions."""
import time

from cases_data import events, get, one
from cases_groups import commit, joined
from session import lines

LOADING, NOT_AVAILABLE, NOT_COORDINATOR, CONCURRENT = 14, 15, 16, 51
NOT_YET = (LOADING, NOT_AVAILABLE, NOT_COORDINATOR, CONCURRENT)
WRONG_PRODUCER = 424242
TIMEOUT_MS = 60000


def begin(k, name, version=4):
    """A producer for the transactional id: (producer id, epoch)."""
    answer = k.until(
        lambda: k.ask("init_producer_id", version, transactional_id=name,
                      transaction_timeout_ms=TIMEOUT_MS),
        lambda answer: answer["error_code"] not in NOT_YET)
    assert answer["error_code"] == 0, answer
    return answer["producer_id"], answer["producer_epoch"]


def adding(name, producer, *topics, verify_only=False):
    """AddPartitionsToTxn, in the words of all versions; topics: (name, indexes)."""
    wanted = [{"name": topic, "partitions": indexes} for topic, indexes in topics]
    return {"v3_and_below_transactional_id": name, "v3_and_below_producer_id": producer[0],
            "v3_and_below_producer_epoch": producer[1], "v3_and_below_topics": wanted,
            "transactions": [{"transactional_id": name, "producer_id": producer[0],
                              "producer_epoch": producer[1], "verify_only": verify_only,
                              "topics": wanted}]}


def of(name, producer, **more):
    return {"transactional_id": name, "producer_id": producer[0], "producer_epoch": producer[1],
            **more}


def open_with(k, name, producer, *topics):
    """Adds the partitions for certain: the markers of the transaction before may be on their way."""
    answer = k.until(lambda: k.ask("add_partitions_to_txn", 3, **adding(name, producer, *topics)),
                     lambda answer: CONCURRENT not in codes(answer))
    assert set(codes(answer)) == {0}, answer


def codes(answer):
    return [result["partition_error_code"] for topic in answer["results_by_topic_v3_and_below"]
            for result in topic["results_by_partition"]]


def describe(k, name):
    return k.ask("describe_transactions", 0, transactional_ids=[name])["transaction_states"][0]


def described(k, title, name):
    """Partitions may come in any order: they are shown in one."""
    state = describe(k, name)
    for topic in state["topics"]:
        topic["partitions"].sort()
    k.write(f"describe_transactions v0: {title}", lines(k.masks, state))


def settle(k, name):
    """Waits until no marker of the transaction is on its way; the description."""
    return k.until(lambda: describe(k, name),
                   lambda state: not state["transaction_state"].startswith("Prepare"))


def current(k, name):
    """The producer id and epoch that the transactional id is at."""
    state = settle(k, name)
    return state["producer_id"], state["producer_epoch"]


def finish(k, name, producer, committed=True):
    answer = k.ask("end_txn", 3, **of(name, producer, committed=committed))
    assert answer["error_code"] == 0, answer
    settle(k, name)


def batch(producer, sequence=0, count=1, attributes=0x10):
    return events(count, timestamp=int(time.time() * 1000), attributes=attributes,
                  producer_id=producer[0], producer_epoch=producer[1], sequence=sequence)


def strangers(producer):
    """Producers that a transactional id must not take for its own."""
    return (("wrong producer id", (WRONG_PRODUCER, producer[1])),
            ("producer id -1", (-1, producer[1])),
            ("older epoch", (producer[0], producer[1] - 1)),
            ("newer epoch", (producer[0], producer[1] + 1)),
            ("epoch -1", (producer[0], -1)))


def txn_coordinators(k):
    k.heading("FindCoordinator of transactional ids")
    k.until(lambda: k.ask("find_coordinator", 1, key="coord", key_type=1),
            lambda answer: answer["error_code"] == 0)
    k.show_all("a transactional id", "find_coordinator", least=1, key="coord", key_type=1,
               coordinator_keys=["coord"])
    k.show("empty transactional id", "find_coordinator", 1, key="", key_type=1)
    k.show("empty transactional id", "find_coordinator", 4, key_type=1, coordinator_keys=["", "a"])
    k.show("no transactional ids", "find_coordinator", 4, key_type=1, coordinator_keys=[])


def init(k):
    k.heading("InitProducerId with a transactional id")
    for number in range(32):  # a new server's partitions of __transaction_state come one by one
        begin(k, f"init-any-{number}")

    def ask(title, version, name, **more):
        k.show(title, "init_producer_id", version, **{
            "transactional_id": name, "transaction_timeout_ms": TIMEOUT_MS, **more})

    for version in range(k.ranges["init_producer_id"][1] + 1):
        ask("a new id", version, f"init-{version}")
        ask("again", version, f"init-{version}")
        ask("empty id", version, "")
    for timeout_ms in (0, -1, 1, 900000, 900001):
        ask(f"time-out {timeout_ms}", 4, "init-time", transaction_timeout_ms=timeout_ms)
    k.show("the time-out of the last", "describe_transactions", 0, transactional_ids=["init-time"])
    again(k, ask)
    fencing(k, ask)


def again(k, ask):
    """A producer that names itself gets the next epoch (KIP-360)."""
    for version in (3, 4, k.ranges["init_producer_id"][1]):
        name = f"init-again-{version}"
        producer = begin(k, name)

        def with_own(title, pair):
            ask(title, version, name, producer_id=pair[0], producer_epoch=pair[1])

        with_own("own id and epoch", producer)
        with_own("the same once more", producer)
        with_own("own id, raised epoch", (producer[0], producer[1] + 1))
        for title, stranger in strangers((producer[0], producer[1] + 1)):
            with_own(title, stranger)
        with_own("far newer epoch", (producer[0], producer[1] + 10))
        ask("own id and epoch of an id not known", version, f"init-none-{version}",
            producer_id=WRONG_PRODUCER, producer_epoch=3)
    ask("epoch without producer id", 4, "init-half", producer_epoch=3)


def fencing(k, ask):
    """A second producer with the id of an open transaction aborts it."""
    k.topic("init-fence", retention_ms="-1")
    for version in (0, 4, k.ranges["init_producer_id"][1]):
        name = f"init-fence-{version}"
        old = begin(k, name)
        open_with(k, name, old, ("init-fence", [0]))
        ask("while a transaction is open", version, name)
        settle(k, name)
        k.show("after the fence", "describe_transactions", 0, transactional_ids=[name])
        ask("after the fence", version, name)
        k.show("of the fenced", "end_txn", 1, **of(name, old, committed=True))
        k.show("of the fenced", "end_txn", 4, **of(name, old, committed=True))
        k.show("of the fenced", "add_partitions_to_txn", 3, **adding(
            name, old, ("init-fence", [0])))
        k.show("of the fenced", "produce", 9, **one(
            "init-fence", batch(old), transactional_id=name))


def add_partitions(k):
    k.heading("AddPartitionsToTxn")
    k.topic("add", 4, retention_ms="-1")
    high = k.ranges["add_partitions_to_txn"][1]
    begin(k, "add")
    producer = begin(k, "add")  # an epoch above 0, so that there is an older one

    def add(title, version, pair, *topics, name="add", **more):
        k.show(title, "add_partitions_to_txn", version, **adding(name, pair, *topics, **more))

    for version in range(high + 1):
        add("one", version, producer, ("add", [0]))
        add("the same again", version, producer, ("add", [0]))
        add("unknown id", version, producer, ("add", [0]), name="add-none")
        add("empty id", version, producer, ("add", [0]), name="")
        for title, stranger in strangers(producer):
            add(title, version, stranger, ("add", [0]))
    for version in (0, 3, high):
        add("unknown topic", version, producer, ("add-none", [0]))
        add("unknown partition beside one", version, producer, ("add", [1, 9]))
        add("negative partition", version, producer, ("add", [-1]))
        add("bad topic name", version, producer, ("a/dd", [0]))
        add("internal topic", version, producer, ("__transaction_state", [0]))
        add("internal topic beside another", version, producer, ("__transaction_state", [0]),
            ("add", [3]))
        add("no topics", version, producer)
        add("no partitions", version, producer, ("add", []))
        add("a partition twice", version, producer, ("add", [2, 2]))
    described(k, "what is in it", "add")
    finish(k, "add", producer)
    add("no topics, no transaction", 3, producer)
    k.show("after it", "describe_transactions", 0, transactional_ids=["add"])
    verify_only(k, add, begin(k, "add"))


def verify_only(k, add, producer):
    """What brokers ask each other: is the partition in the transaction (KIP-890)?"""
    for version in range(4, k.ranges["add_partitions_to_txn"][1] + 1):
        add("verify, no transaction", version, producer, ("add", [0]), verify_only=True)
    open_with(k, "add", producer, ("add", [0]))
    for version in range(4, k.ranges["add_partitions_to_txn"][1] + 1):
        add("verify, in it", version, producer, ("add", [0]), verify_only=True)
        add("verify, one in it, one not", version, producer, ("add", [0, 3]), verify_only=True)
        add("verify, unknown topic", version, producer, ("add-none", [0]), verify_only=True)
        add("verify, unknown id", version, producer, ("add", [0]), name="add-none",
            verify_only=True)
        for title, stranger in strangers(producer):
            add(f"verify, {title}", version, stranger, ("add", [0]), verify_only=True)
        k.show("two transactions", "add_partitions_to_txn", version, transactions=[
            *adding("add", producer, ("add", [0]), verify_only=True)["transactions"],
            *adding("add-none", producer, ("add", [0]), verify_only=True)["transactions"]])
        k.show("no transactions", "add_partitions_to_txn", version)


def end(k):
    k.heading("EndTxn")
    k.topic("end", retention_ms="-1")
    for version in range(k.ranges["end_txn"][1] + 1):
        name = f"end-{version}"

        def say(title, pair, committed, name=name, version=version):
            k.show(title, "end_txn", version, **of(name, pair, committed=committed))

        begin(k, name)
        producer = begin(k, name)
        say("unknown id", producer, True, "end-none")
        say("empty id", producer, True, "")
        for title, stranger in strangers(producer):
            say(title, stranger, True)
        say("commit without transaction", producer, True)
        say("abort without transaction", current(k, name), False)
        for first, second in ((True, False), (False, True)):
            word, other = ("commit", "abort") if first else ("abort", "commit")
            producer = current(k, name)
            open_with(k, name, producer, ("end", [0]))
            say(f"{word}, wrong producer", (WRONG_PRODUCER, producer[1]), first)
            say(f"{word}, newer epoch", (producer[0], producer[1] + 1), first)
            say(word, producer, first)
            settle(k, name)
            say(f"{word} again", producer, first)
            say(f"{other} after {word}", producer, second)
            settle(k, name)
            k.show(f"after {word}", "describe_transactions", 0, transactional_ids=[name])


def offsets(k):
    k.heading("AddOffsetsToTxn, TxnOffsetCommit")
    topic_id = k.topic("txn-offsets", 2)
    begin(k, "offsets")
    producer = begin(k, "offsets")

    def add(title, version, pair, name="offsets", group="txn-group"):
        k.show(title, "add_offsets_to_txn", version, **of(name, pair, group_id=group))

    for version in range(k.ranges["add_offsets_to_txn"][1] + 1):
        add("unknown id", version, producer, "offsets-none")
        add("empty id", version, producer, "")
        for title, stranger in strangers(producer):
            add(title, version, stranger)
        add("a group", version, producer)
        add("again", version, producer)
    add("empty group id", 3, producer, group="")
    state = settle(k, "offsets")
    k.write("describe_transactions v0: the offsets' partition is in it", [
        f"{state['transaction_state']} {[topic['topic'] for topic in state['topics']]}"])
    finish(k, "offsets", producer, False)
    offset_commits(k, current(k, "offsets"), ("txn-offsets", topic_id))
    stable(k)


def txn_commit(name, producer, group, topic, offset, **more):
    """TxnOffsetCommit of one partition; the topic is (name, id), of which the version takes one."""
    inner = commit(group, topic[0], offset, **more)
    inner["topics"][0]["topic_id"] = topic[1]
    return of(name, producer, **inner)


NO_TOPIC = ("txn-none", b"no such topic id")


def offset_commits(k, producer, topic):
    high = k.ranges["txn_offset_commit"][1]

    def put(title, version, pair=producer, group="txn-group", topic=topic, offset=5,
            name="offsets", **more):
        k.show(title, "txn_offset_commit", version, **txn_commit(
            name, pair, group, topic, offset, **more))

    for version in range(min(high, 4) + 1):
        put("no transaction", version)
    k.ask("add_offsets_to_txn", 3, **of("offsets", producer, group_id="txn-group"))
    for version in range(high + 1):
        put("one partition", version)
        put("unknown id", version, name="offsets-none")
        put("empty id", version, name="")
        for title, stranger in strangers(producer):
            put(title, version, stranger)
        put("another group", version, group="txn-other")
        put("empty group id", version, group="")
        put("unknown topic", version, topic=NO_TOPIC)
        put("unknown partition", version, partition=9)
        put("negative offset", version, offset=-1)
        put("too long metadata", version, metadata="x" * 4097)
    members(k, put)
    k.show("no topics", "txn_offset_commit", 3, **of("offsets", producer, group_id="txn-group"))
    finish(k, "offsets", producer, False)


def members(k, put):
    """The group's generation guards its offsets (KIP-447)."""
    put("unknown member of no group", 3, member="nobody")
    put("generation of no group", 3, generation=3)
    for version in range(5, k.ranges["txn_offset_commit"][1] + 1):
        put("generation of a group unheard of", version, group="txn-nobodys", generation=3)
    put("unknown instance of no group", 3, group_instance_id="ghost")
    producer = begin(k, "offsets-members")
    k.ask("add_offsets_to_txn", 3, **of("offsets-members", producer, group_id="txn-members"))
    member, generation = joined(k, "txn-members")

    def put_member(title, version=3, generation=generation, member=member, **more):
        put(title, version, producer, "txn-members", name="offsets-members",
            generation=generation, member=member, **more)

    put_member("member")
    put_member("older generation", generation=generation - 1)
    put_member("newer generation", generation=generation + 1)
    put_member("unknown member", member="nobody")
    put_member("no member, no generation", generation=-1, member="")
    put_member("no member, a generation", member="")
    put_member("unknown instance", group_instance_id="ghost")
    put_member("before there were generations", 2)
    finish(k, "offsets-members", producer, False)


def stable(k):
    """What OffsetFetch tells while a transaction holds offsets, and after its end."""
    stables = ("txn-stables", k.topic("txn-stables", 2))
    k.ask("offset_commit", 7, **commit("txn-stable", "txn-stables", 3))
    producer = begin(k, "stable")

    def look(title):
        for version in (5, 7, k.ranges["offset_fetch"][1]):
            for require_stable in (False, True)[:1 if version < 7 else 2]:
                wanted = [{"name": "txn-stables", "partition_indexes": [0, 1]}]
                k.show(f"{title}, require_stable={str(require_stable).lower()}", "offset_fetch",
                       version, group_id="txn-stable", topics=wanted,
                       groups=[{"group_id": "txn-stable", "topics": wanted}],
                       require_stable=require_stable)

    for committed in (False, True):
        k.until(lambda: k.ask("add_offsets_to_txn", 3, **of(
            "stable", producer, group_id="txn-stable")), lambda answer: answer["error_code"] == 0)
        k.show("in a transaction", "txn_offset_commit", 3, **txn_commit(
            "stable", producer, "txn-stable", stables, 7))
        look("the transaction is open")
        finish(k, "stable", producer, committed)
        k.until(lambda: k.ask("offset_fetch", 7, group_id="txn-stable", topics=None,
                              require_stable=True),
                lambda answer: answer["topics"][0]["partitions"][0]["error_code"] == 0)
        look("committed" if committed else "aborted")


def written(k):
    """Produce within transactions, and what readers then see."""
    k.heading("Produce and Fetch in transactions")
    high = k.ranges["produce"][1]
    for version in sorted({3, 8, 10, 11, high}):
        topic = name = f"written-{version}"
        k.topic(topic, 2, retention_ms="-1")
        k.until(lambda topic=topic: latest(k, topic, 1),
                lambda answer: answer["topics"][0]["partitions"][0]["error_code"] == 0)
        begin(k, name)
        producer = begin(k, name)

        def put(title, pair=producer, records=None, partition=0, name=name, sequence=0,
                topic=topic, version=version):
            k.show(title, "produce", version, **one(
                topic, records or batch(pair, sequence), partition, transactional_id=name))

        for title, stranger in strangers(producer):
            if title not in ("producer id -1", "epoch -1"):
                put(f"no transaction, {title}", stranger, partition=1)
        put("unknown id", name="written-none", partition=1)
        put("empty id", name="", partition=1)
        if version < 12:
            put("partition not added", partition=1)
            open_with(k, name, producer, (topic, [0]))
        put("in the transaction")
        put("second batch", sequence=1)
        put("duplicate", sequence=1)
        put("a gap", sequence=5)
        put("ordinary batch amid the transaction", records=batch(producer, 2, attributes=0))
        put("newer epoch", (producer[0], producer[1] + 1))
        readers(k, topic, "while it is open")
        finish(k, name, producer, False)
        readers(k, topic, "after the abort")


def latest(k, topic, partition):
    return k.ask("list_offsets", 5, replica_id=-1, topics=[
        {"name": topic, "partitions": [{"partition_index": partition, "timestamp": -1}]}])


def readers(k, topic, when):
    for level in range(2):
        k.show(f"{topic} {when}, isolation level {level}", "fetch", 11,
               **get(topic, 0, isolation_level=level))
        k.show(f"{topic} {when}, latest, isolation level {level}", "list_offsets", 5,
               isolation_level=level, replica_id=-1, topics=[
                   {"name": topic, "partitions": [{"partition_index": 0, "timestamp": -1}]}])


def listing(k):
    k.heading("ListTransactions, DescribeTransactions")
    k.topic("look", 3, retention_ms="-1")
    k.topic("look-more", retention_ms="-1")
    begin(k, "look-empty")
    open_producer = begin(k, "look-open")
    open_with(k, "look-open", open_producer, ("look", [2, 0]), ("look-more", [0]))
    for committed in (True, False):
        name = f"look-{'committed' if committed else 'aborted'}"
        producer = begin(k, name)
        open_with(k, name, producer, ("look", [1]))
        finish(k, name, producer, committed)
    for version in range(k.ranges["list_transactions"][1] + 1):
        listed(k, version, "all")
    for states in (["Ongoing"], ["CompleteCommit", "CompleteAbort"], ["Empty"], ["ongoing"],
                   ["Nonsense"], ["Nonsense", "Ongoing", "More"], ["Dead"], [""]):
        listed(k, 0, f"states {states}", state_filters=states)
    listed(k, 0, "by producer", producer_id_filters=[open_producer[0]])
    listed(k, 0, "by a producer not known", producer_id_filters=[WRONG_PRODUCER])
    listed(k, 0, "state and producer that do not go together", state_filters=["Empty"],
           producer_id_filters=[open_producer[0]])
    for duration_ms in (-1, -5, 3600000):
        listed(k, 1, f"longer than {duration_ms} ms", duration_filter=duration_ms)
    described(k, "one that is open", "look-open")
    k.show("one in each other state", "describe_transactions", 0, transactional_ids=[
        "look-aborted", "look-committed", "look-empty"])
    k.show("unknown beside a known one", "describe_transactions", 0,
           transactional_ids=["look-empty", "look-none"])
    k.show("empty id", "describe_transactions", 0, transactional_ids=[""])
    k.show("twice", "describe_transactions", 0, transactional_ids=["look-empty", "look-empty"])
    k.show("none", "describe_transactions", 0)
    finish(k, "look-open", open_producer)


def listed(k, version, title, **filters):
    """The transactions of these cases only; all others are of other cases."""
    answer = k.ask("list_transactions", version, **filters)
    answer["transaction_states"] = [state for state in answer["transaction_states"]
                                    if state["transactional_id"].startswith("look-")]
    k.write(f"list_transactions v{version}: {title}", lines(k.masks, answer))


def without_waiting(k, first, second):
    """Two requests in a row on one connection; their answers."""
    connection = k.shared()
    for api, version, values in (first, second):
        k.send(api, version, values, connection)
    return [k.receive(api, version, connection) for api, version, _ in (first, second)]


def next_transaction(k):
    """What begins the next transaction waits for the end of the one before."""
    k.heading("The next transaction, while the one before is being completed")
    k.topic("next")
    for version, title in ((3, "version 1"), (5, "version 2")):
        name = f"next-{version}"
        producer = begin(k, name)
        open_with(k, name, producer, ("next", [0]))
        ending = ("end_txn", version, of(name, producer, committed=True))
        if version >= 5:
            answer = without_waiting(k, ending, (
                "init_producer_id", 5, {"transactional_id": name,
                                        "transaction_timeout_ms": TIMEOUT_MS}))[1]
            k.write(f"init_producer_id v5: transactions {title}", lines(k.masks, answer))
            continue
        for api, values in (("add_partitions_to_txn", adding(name, producer, ("next", [0]))),
                            ("add_offsets_to_txn", of(name, producer, group_id="next"))):
            answer = without_waiting(k, ending, (api, 3, values))[1]
            k.write(f"{api} v3: transactions {title}", lines(k.masks, answer))
        finish(k, name, producer)


CASES = [txn_coordinators, init, add_partitions, end, offsets, written, next_transaction, listing]
