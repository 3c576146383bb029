"""Topics, configuration, the cluster."""
UNKNOWN_ID = bytes(range(16))
BAD_NAMES = ["", ".", "..", "a" * 249, "a" * 250, "with space", "sla/sh", "ünï", "new\nline",
             "percent%", "colon:", "Dash-under_score.dot9"]


def api_versions(k):
    k.heading("ApiVersions")
    for version in range(k.ranges["api_versions"][1] + 1):
        answer = k.ask("api_versions", version, client_software_name="conformance",
                       client_software_version="1")
        k.write(f"api_versions v{version}", [
            f"error_code={answer['error_code']} fields={sorted(set(answer) - FEATURES)} "
            f"apis={'some' if answer['api_keys'] else 'none'}"])
    cluster = k.ask("metadata", 7, topics=[])["cluster_id"]
    for title, cluster_id, node_id in (("this cluster and server", cluster, k.masks.node),
                                       ("another server", cluster, k.masks.node + 1),
                                       ("another cluster", "other", k.masks.node)):
        answer = k.ask("api_versions", 5, client_software_name="conformance",
                       client_software_version="1", cluster_id=cluster_id, node_id=node_id)
        k.write(f"api_versions v5: meant for {title}", [
            f"error_code={answer['error_code']} apis={'some' if answer['api_keys'] else 'none'}"])
    connection = k.connect()
    body = connection.call(18, 99, b"\0")  # the tagged fields of a flexible header
    apis = "some" if body[2:6] != bytes(4) else "none"
    k.write("api_versions v99: newer than known", [
        f"error_code={int.from_bytes(body[:2], 'big')} apis={apis}"])
    for name in ("", "a b", "-a"):
        answer = k.ask("api_versions", 3, client_software_name=name, client_software_version="1")
        k.write(f"api_versions v3: software name {name!r}", [
            f"error_code={answer['error_code']} apis={'some' if answer['api_keys'] else 'none'}"])


FEATURES = {"supported_features", "finalized_features", "finalized_features_epoch",
            "zk_migration_ready"}


def metadata(k):
    k.heading("Metadata")
    other_id = k.topic("meta-a", 2)
    topic_id = k.topic("meta-b")
    k.masks.topics[UNKNOWN_ID] = "unknown id"
    k.show_all("one topic", "metadata", topics=[{"name": "meta-a"}])
    for version, topics in ((0, []), (1, None), (12, None)):
        answer = k.ask("metadata", version, topics=topics)
        k.write(f"metadata v{version}: {topics} has all topics", sorted(
            t["name"] for t in answer["topics"] if t["name"].startswith("meta-")))
    k.show_all("empty list: none since v1", "metadata", 1, topics=[])
    k.show_all("unknown, not to be created", "metadata", 4, topics=[{"name": "meta-none"}],
               allow_auto_topic_creation=False)
    k.show("by id", "metadata", 12, topics=[{"topic_id": topic_id, "name": None}])
    k.show("by id in a version that cannot", "metadata", 10,
           topics=[{"topic_id": topic_id, "name": None}])
    k.show("by id and name", "metadata", 12, topics=[{"topic_id": topic_id, "name": "meta-b"}])
    k.show("by id and another name", "metadata", 12,
           topics=[{"topic_id": topic_id, "name": "meta-a"}])
    k.show("by ids, with empty names, as Java's client sends them", "metadata", 12, topics=[
        {"topic_id": topic_id, "name": ""}, {"topic_id": other_id, "name": ""}])
    k.show("unknown id", "metadata", 12, topics=[{"topic_id": UNKNOWN_ID, "name": None}])
    k.show("zero id and null name", "metadata", 12, topics=[{"name": None}])
    k.show("null name in v10", "metadata", 10, topics=[{"name": None}])
    k.show("ids and names together", "metadata", 12, topics=[
        {"topic_id": topic_id, "name": None}, {"name": "meta-a"}])
    k.show("a topic twice", "metadata", 9, topics=[{"name": "meta-a"}, {"name": "meta-a"}])
    for name in BAD_NAMES:
        k.show(f"name {name[:24]!r} ({len(name)})", "metadata", 9, topics=[{"name": name}],
               allow_auto_topic_creation=False)
    for name in ("", "..", "sla/sh", "a" * 250):
        k.show(f"name {name[:24]!r} ({len(name)}) to be created", "metadata", 9,
               topics=[{"name": name}])
    k.show("authorised operations", "metadata", 8, topics=[{"name": "meta-b"}],
           include_cluster_authorized_operations=True, include_topic_authorized_operations=True)
    k.show("authorised operations of an unknown topic", "metadata", 8,
           topics=[{"name": "meta-none"}], include_topic_authorized_operations=True,
           allow_auto_topic_creation=False)


def wanted(name, partitions=1, factor=1, assignments=(), **configs):
    return {"name": name, "num_partitions": partitions, "replication_factor": factor,
            "assignments": [{"partition_index": index, "broker_ids": brokers}
                            for index, brokers in assignments],
            "configs": [{"name": name.replace("_", "."), "value": value}
                        for name, value in configs.items()]}


def create_topics(k):
    k.heading("CreateTopics")

    def create(title, *topics, version=7, validate=False):
        k.show(title, "create_topics", version, topics=list(topics), timeout_ms=30000,
               validate_only=validate)

    def refuse(title, *topics, version=4, validate=False):
        create(title, *topics, version=version, validate=validate)

    node = k.masks.node
    for version in range(k.ranges["create_topics"][0], min(k.ranges["create_topics"][1], 4) + 1):
        create("ordinary", wanted(f"create-{version}"), version=version)
    for version in range(5, k.ranges["create_topics"][1] + 1):
        answer = k.ask("create_topics", version, topics=[wanted(f"create-{version}", 3)],
                       timeout_ms=30000)
        configs = answer["topics"][0].pop("configs")
        k.masks.topics[answer["topics"][0].get("topic_id")] = "new"
        k.write(f"create_topics v{version}: ordinary, settings apart", [
            str({name: value for name, value in answer["topics"][0].items()
                 if name != "topic_id"})])
        shown = {c["name"]: (c["value"], c["read_only"], c["config_source"], c["is_sensitive"])
                 for c in configs}
        k.write(f"create_topics v{version}: some settings",
                [f"{name} {shown.get(name)}" for name in COMMON_CONFIGS])
    refuse("exists", wanted("create-0"))
    refuse("exists, only validating", wanted("create-0"), validate=True)
    refuse("only validating", wanted("create-only"), validate=True)
    k.show("it was not made", "metadata", 4, topics=[{"name": "create-only"}],
           allow_auto_topic_creation=False)
    refuse("defaults", wanted("create-default", -1, -1))
    refuse("default count before v4", wanted("create-default3", -1, -1), version=3)
    for count in (0, -2, -1000):
        refuse(f"{count} partitions", wanted("create-bad", count))
    for factor in (0, -2, 2, 3):
        refuse(f"replication factor {factor}", wanted("create-bad", 1, factor))
    for name in BAD_NAMES:
        refuse(f"name {name[:24]!r} ({len(name)})", wanted(name), validate=True)
    refuse("__consumer_offsets", wanted("__consumer_offsets"))
    refuse("twice in a request", wanted("create-twice"), wanted("create-twice"))
    refuse("twice beside a good one", wanted("create-twice"), wanted("create-twice"),
           wanted("create-beside"))
    refuse("differs in . and _", wanted("create.dot_a"))
    refuse("collides with it", wanted("create_dot.a"))
    refuse("no topics")
    refuse("assigned", wanted("create-assigned", -1, -1, [(0, [node]), (1, [node])]))
    refuse("assigned and counted", wanted("create-bad", 2, 1, [(0, [node]), (1, [node])]))
    refuse("assigned with factor", wanted("create-bad", -1, 1, [(0, [node])]))
    refuse("assigned to an unknown broker", wanted("create-bad", -1, -1, [(0, [77])]))
    refuse("assigned with a gap", wanted("create-bad", -1, -1, [(0, [node]), (2, [node])]))
    refuse("assigned from 1", wanted("create-bad", -1, -1, [(1, [node])]))
    refuse("assigned a partition twice",
           wanted("create-bad", -1, -1, [(0, [node]), (0, [node])]))
    refuse("assigned to nobody", wanted("create-bad", -1, -1, [(0, [])]))
    refuse("assigned to the same broker twice",
           wanted("create-bad", -1, -1, [(0, [node, node])]))
    refuse("unknown setting", wanted("create-bad", no_such_thing="1"))
    refuse("bad number", wanted("create-bad", retention_ms="soon"))
    refuse("number too small", wanted("create-bad", retention_ms="-2"))
    refuse("number with blanks", wanted("create-blanks", retention_ms=" 1000 "))
    refuse("empty number", wanted("create-bad", retention_ms=""))
    refuse("null setting", wanted("create-bad", retention_ms=None))
    refuse("bad choice", wanted("create-bad", cleanup_policy="compress"))
    refuse("bad boolean", wanted("create-bad", unclean_leader_election_enable="maybe"))
    refuse("upper case boolean", wanted("create-upper", preallocate="FALSE"))
    refuse("empty setting name", {**wanted("create-bad"), "configs": [{"name": "", "value": "1"}]})
    refuse("a setting twice", {**wanted("create-setting-twice"), "configs": [
        {"name": "retention.ms", "value": "1000"}, {"name": "retention.ms", "value": "2000"}]})
    refuse("empty cleanup policy", wanted("create-cleanup", cleanup_policy=""))
    refuse("delete twice", wanted("create-cleanup2", cleanup_policy="delete,delete"))
    refuse("compact", wanted("create-compact", cleanup_policy="compact"))
    refuse("compact and delete", wanted("create-compact-delete", cleanup_policy="compact,delete"))
    refuse("other codec", wanted("create-codec", compression_type="zstd"))
    refuse("unknown codec", wanted("create-bad", compression_type="rar"))
    refuse("two synchronous replicas", wanted("create-isr", min_insync_replicas="2"))
    refuse("segment.bytes too small", wanted("create-bad", segment_bytes="13"))
    refuse("max.message.bytes negative", wanted("create-bad", max_message_bytes="-1"))
    refuse("old message format", wanted("create-format", message_format_version="2.0"))
    k.show("invalid and too many: all wrong at once", "create_topics", 4, topics=[
        wanted("bad/name", 0, 3, no_such_thing="x")], timeout_ms=30000)
    k.show("timeout 0", "create_topics", 4, topics=[wanted("create-timeout")], timeout_ms=0)


COMMON_CONFIGS = ["cleanup.policy", "compression.type", "max.message.bytes",
                  "message.timestamp.type", "min.insync.replicas", "retention.bytes", "retention.ms", "segment.bytes",
                  "segment.ms", "delete.retention.ms", "preallocate"]


def delete_topics(k):
    k.heading("DeleteTopics")
    low, high = k.ranges["delete_topics"]
    for version in range(low, min(high, 5) + 1):
        k.topic(f"delete-{version}")
        k.show("by name", "delete_topics", version, topic_names=[f"delete-{version}"],
               timeout_ms=30000)
        k.gone(f"delete-{version}")
    topic_id = k.topic("delete-id")
    k.show("by id", "delete_topics", 6, topics=[{"topic_id": topic_id}], timeout_ms=30000)
    k.gone("delete-id")
    k.show("by the id of a topic that is gone", "delete_topics", 6,
           topics=[{"topic_id": topic_id}], timeout_ms=30000)
    k.show("unknown id", "delete_topics", 6, topics=[{"topic_id": UNKNOWN_ID}], timeout_ms=30000)
    topic_id = k.topic("delete-both")
    k.show("name and id", "delete_topics", 6,
           topics=[{"name": "delete-both", "topic_id": topic_id}], timeout_ms=30000)
    k.show("neither", "delete_topics", 6, topics=[{}], timeout_ms=30000)
    k.show_all("unknown name", "delete_topics", topic_names=["delete-none"],
               topics=[{"name": "delete-none"}], timeout_ms=30000)
    k.show("bad name", "delete_topics", 5, topic_names=["a/b"], timeout_ms=30000)
    k.show("empty name", "delete_topics", 5, topic_names=[""], timeout_ms=30000)
    k.show("nothing", "delete_topics", 5, topic_names=[], timeout_ms=30000)
    k.topic("delete-twice")
    k.show("a name twice", "delete_topics", 5, topic_names=["delete-twice", "delete-twice"],
           timeout_ms=30000)
    k.show("a topic by name and by id", "delete_topics", 6, topics=[
        {"name": "delete-both"}, {"topic_id": topic_id}], timeout_ms=30000)


def create_partitions(k):
    k.heading("CreatePartitions")
    node = k.masks.node
    k.topic("parts", 2)
    low, high = k.ranges["create_partitions"]

    def grow(title, *topics, version=2, validate=False):
        k.show(title, "create_partitions", version, timeout_ms=30000, validate_only=validate,
               topics=[{"name": name, "count": count, "assignments": None if nodes is None else [
                   {"broker_ids": ids} for ids in nodes]} for name, count, nodes in topics])

    for version in range(low, high + 1):
        grow("one more", ("parts", 3 + version, None), version=version)
    count = 3 + high
    k.settle("parts", count)
    grow("the same", ("parts", count, None))
    grow("fewer", ("parts", 1, None))
    grow("none", ("parts", 0, None))
    grow("negative", ("parts", -1, None))
    grow("unknown topic", ("parts-none", 4, None))
    grow("bad name", ("pa/rts", 4, None))
    grow("only validating", ("parts", count + 1, None), validate=True)
    grow("only validating fewer", ("parts", 1, None), validate=True)
    k.topic("parts-twice")
    grow("the same topic twice", ("parts-twice", 2, None), ("parts-twice", 3, None))
    grow("assigned", ("parts", count + 1, [[node]]))
    k.settle("parts", count + 1)
    grow("assigned too few", ("parts", count + 3, [[node]]))
    grow("assigned too many", ("parts", count + 2, [[node], [node]]))
    grow("assigned to an unknown broker", ("parts", count + 2, [[77]]))
    grow("assigned twice", ("parts", count + 2, [[node, node]]))
    grow("assigned to nobody", ("parts", count + 2, [[]]))
    grow("empty assignments", ("parts", count + 2, []))
    grow("no topics")


def describe_configs(k):
    k.heading("DescribeConfigs")
    k.topic("conf", retention_ms="86400000", max_message_bytes="100000")
    node = str(k.masks.node)

    def describe(title, kind, name, keys=("retention.ms", "max.message.bytes", "segment.ms"),
                 version=4, **more):
        k.show(title, "describe_configs", version, resources=[
            {"resource_type": kind, "resource_name": name.replace("NODE", node),
             "configuration_keys": None if keys is None else list(keys)}], **more)

    k.show_all("keys of a topic", "describe_configs", resources=[
        {"resource_type": 2, "resource_name": "conf",
         "configuration_keys": ["retention.ms", "segment.ms"]}])
    k.show_all("with synonyms", "describe_configs", 1, include_synonyms=True, resources=[
        {"resource_type": 2, "resource_name": "conf",
         "configuration_keys": ["retention.ms", "max.message.bytes"]}])
    answer = k.ask("describe_configs", 4, resources=[
        {"resource_type": 2, "resource_name": "conf", "configuration_keys": None}])
    known = {c["name"]: c for c in answer["results"][0]["configs"]}
    k.write("describe_configs v4: settings of a topic, by name", sorted(known))
    k.write("describe_configs v4: some of them", [
        f"{name} value={known[name]['value']} source={known[name]['config_source']} "
        f"type={known[name]['config_type']} read_only={known[name]['read_only']} "
        f"sensitive={known[name]['is_sensitive']}"
        for name in COMMON_CONFIGS if name in known])
    answer = k.ask("describe_configs", 4, resources=[
        {"resource_type": 2, "resource_name": "conf", "configuration_keys": []}])
    k.write("describe_configs v4: no keys is all", [
        str({c["name"] for c in answer["results"][0]["configs"]} == set(known))])
    describe("an unknown key", 2, "conf", ["no.such.thing"])
    describe("a key twice", 2, "conf", ["retention.ms", "retention.ms"])
    describe("unknown topic", 2, "conf-none")
    describe("bad topic name", 2, "co/nf")
    describe("empty topic name", 2, "")
    describe("the broker", 4, "NODE", ["message.max.bytes", "num.partitions"])
    describe("another broker", 4, "77", ["message.max.bytes"])
    describe("the default of brokers", 4, "", ["message.max.bytes"])
    describe("a broker that is no number", 4, "one", ["message.max.bytes"])
    describe("loggers of the broker", 8, "NODE", ["none"])
    describe("client metrics", 16, "none", [])
    describe("a group", 32, "none", [])
    describe("resource type 0", 0, "conf")
    describe("resource type 99", 99, "conf")
    describe("with documentation", 2, "conf", include_documentation=True)
    k.show("a resource twice", "describe_configs", 1, resources=2 * [
        {"resource_type": 2, "resource_name": "conf", "configuration_keys": ["retention.ms"]}])
    k.show("no resources", "describe_configs", 1, resources=[])


def alter_configs(k):
    k.heading("AlterConfigs")
    k.topic("alter", retention_ms="1000000")
    node = str(k.masks.node)

    def alter(title, kind, name, *configs, version=1, validate=False):
        k.show(title, "alter_configs", version, validate_only=validate, resources=[
            {"resource_type": kind, "resource_name": name, "configs": [
                {"name": key, "value": value} for key, value in configs]}])

    for version in range(k.ranges["alter_configs"][0], k.ranges["alter_configs"][1] + 1):
        alter("replaces", 2, "alter", ("segment.ms", f"10000{version}"), version=version)
    same_config(k, "alter", "retention.ms", "604800000")
    shown_config(k, "alter", "retention.ms", "segment.ms")
    alter("only validating", 2, "alter", ("segment.ms", "7"), validate=True)
    shown_config(k, "alter", "segment.ms")
    alter("bad value", 2, "alter", ("segment.ms", "x"))
    alter("unknown setting", 2, "alter", ("no.such.thing", "x"))
    alter("null value", 2, "alter", ("segment.ms", None))
    alter("empty name", 2, "alter", ("", "x"))
    alter("a setting twice", 2, "alter", ("segment.ms", "5000"), ("segment.ms", "6000"))
    alter("unknown topic", 2, "alter-none", ("segment.ms", "5000"))
    alter("bad topic name", 2, "al/ter", ("segment.ms", "5000"))
    alter("another broker", 4, "77", ("message.max.bytes", "5000"))
    alter("a setting of the broker that is fixed", 4, node, ("num.io.threads.none", "5000"))
    alter("resource type 0", 0, "alter", ("segment.ms", "5000"))
    alter("resource type 99", 99, "alter", ("segment.ms", "5000"))
    k.show("a topic twice", "alter_configs", 1, resources=2 * [
        {"resource_type": 2, "resource_name": "alter", "configs": []}])
    alter("nothing: all back to defaults", 2, "alter")


def same_config(k, topic, name, value):
    """Waits until the topic's setting has the value."""
    def ask():
        return k.ask("describe_configs", 1, resources=[
            {"resource_type": 2, "resource_name": topic, "configuration_keys": [name]}])
    k.until(ask, lambda answer: answer["results"][0]["configs"][0]["value"] == value)


def shown_config(k, topic, *names):
    answer = k.ask("describe_configs", 1, resources=[
        {"resource_type": 2, "resource_name": topic, "configuration_keys": list(names)}])
    k.write(f"settings of {topic} now", [
        f"{c['name']}={c['value']} source={c['config_source']}"
        for c in sorted(answer["results"][0]["configs"], key=lambda c: c["name"])])


SET, DELETE, APPEND, SUBTRACT = 0, 1, 2, 3


SESSION, INTERVAL = "consumer.session.timeout.ms", "consumer.heartbeat.interval.ms"


def group_configs(k, alter):
    """Of a consumer group of the new protocol."""
    def described(title):
        k.show(title, "describe_configs", 4, include_synonyms=True, resources=[
            {"resource_type": 32, "resource_name": "group", "configuration_keys": [
                SESSION, INTERVAL]}])

    described("a group without settings of its own")
    alter("of a group", 32, "group", (SESSION, SET, "50000"), (INTERVAL, SET, "6000"))
    described("a group with settings of its own")
    alter("of a group, below the bound", 32, "group", (SESSION, SET, "100"))
    alter("of a group, no number", 32, "group", (INTERVAL, SET, "often"))
    alter("of a group, unknown", 32, "group", ("no.such.thing", SET, "1"))
    alter("of a group, only validating", 32, "group", (SESSION, SET, "55000"), validate=True)
    alter("of a group, delete", 32, "group", (SESSION, DELETE, None))
    alter("of a group, empty id", 32, "", (SESSION, SET, "50000"))
    described("a group with one setting of its own")


def incremental_alter_configs(k):
    k.heading("IncrementalAlterConfigs")
    k.topic("incr", retention_ms="1000000")

    def alter(title, kind, name, *configs, version=1, validate=False):
        k.show(title, "incremental_alter_configs", version, validate_only=validate, resources=[
            {"resource_type": kind, "resource_name": name, "configs": [
                {"name": key, "config_operation": operation, "value": value}
                for key, operation, value in configs]}])

    for version in (0, 1):
        alter("set", 2, "incr", ("segment.ms", SET, f"10000{version}"), version=version)
    same_config(k, "incr", "segment.ms", "100001")
    shown_config(k, "incr", "retention.ms", "segment.ms")
    alter("delete", 2, "incr", ("segment.ms", DELETE, None))
    same_config(k, "incr", "segment.ms", "604800000")
    alter("delete what is not set", 2, "incr", ("segment.ms", DELETE, None))
    alter("delete with a value", 2, "incr", ("segment.ms", DELETE, "5"))
    alter("append to a list", 2, "incr", ("cleanup.policy", APPEND, "delete"))
    alter("append what is there again", 2, "incr", ("cleanup.policy", APPEND, "delete"))
    alter("append something bad", 2, "incr", ("cleanup.policy", APPEND, "bad"))
    alter("subtract what is not there", 2, "incr", ("cleanup.policy", SUBTRACT, "compact"))
    shown_config(k, "incr", "cleanup.policy")
    alter("subtract the last", 2, "incr", ("cleanup.policy", SUBTRACT, "delete"))
    alter("append to a number", 2, "incr", ("segment.ms", APPEND, "5000"))
    alter("subtract from a number", 2, "incr", ("segment.ms", SUBTRACT, "5000"))
    alter("operation 9", 2, "incr", ("segment.ms", 9, "5000"))
    alter("set to null", 2, "incr", ("segment.ms", SET, None))
    shown_config(k, "incr", "cleanup.policy")
    alter("append to an empty list", 2, "incr", ("cleanup.policy", APPEND, "compact"))
    shown_config(k, "incr", "cleanup.policy")
    alter("append null", 2, "incr", ("cleanup.policy", APPEND, None))
    alter("set bad", 2, "incr", ("segment.ms", SET, "x"))
    alter("unknown setting", 2, "incr", ("no.such.thing", SET, "x"))
    alter("delete an unknown setting", 2, "incr", ("no.such.thing", DELETE, None))
    alter("settings of tiered storage that mean none", 2, "incr",
          ("remote.storage.enable", SET, "false"), ("local.retention.ms", SET, "-2"),
          ("local.retention.bytes", SET, "-2"))
    alter("append to an unknown setting", 2, "incr", ("no.such.thing", APPEND, "x"))
    alter("a setting twice", 2, "incr", ("segment.ms", SET, "5000"), ("segment.ms", SET, "6000"))
    alter("only validating", 2, "incr", ("segment.ms", SET, "5000"), validate=True)
    shown_config(k, "incr", "segment.ms")
    alter("one good, one bad", 2, "incr", ("segment.ms", SET, "5000"),
          ("segment.bytes", SET, "x"))
    shown_config(k, "incr", "segment.ms")
    alter("unknown topic", 2, "incr-none", ("segment.ms", SET, "5000"))
    alter("bad topic name", 2, "in/cr", ("segment.ms", SET, "5000"))
    alter("another broker", 4, "77", ("message.max.bytes", SET, "5000"))
    alter("resource type 0", 0, "incr", ("segment.ms", SET, "5000"))
    alter("resource type 99", 99, "incr", ("segment.ms", SET, "5000"))
    alter("nothing", 2, "incr")
    group_configs(k, alter)
    k.show("a topic twice", "incremental_alter_configs", 1, resources=2 * [
        {"resource_type": 2, "resource_name": "incr", "configs": []}])
    k.show("no resources", "incremental_alter_configs", 1, resources=[])


def cluster(k):
    k.heading("DescribeCluster, DescribeLogDirs, DescribeTopicPartitions")
    k.show_all("ordinary", "describe_cluster")
    k.show("authorised operations", "describe_cluster", 1,
           include_cluster_authorized_operations=True)
    k.show("controllers", "describe_cluster", 1, endpoint_type=2)
    k.show("endpoint type 9", "describe_cluster", 1, endpoint_type=9)
    k.topic("dirs", 2)
    k.until(lambda: k.ask("describe_log_dirs", 1, topics=[{"topic": "dirs", "partitions": [0, 1]}]),
            lambda answer: len(answer["results"][0]["topics"][0]["partitions"]) == 2)
    k.show_all("one topic", "describe_log_dirs", 1, topics=[
        {"topic": "dirs", "partitions": [0, 1]}])
    k.show("unknown topic and partition", "describe_log_dirs", 4, topics=[
        {"topic": "dirs", "partitions": [0, 9]}, {"topic": "dirs-none", "partitions": [0]}])
    k.show("no partitions", "describe_log_dirs", 4, topics=[{"topic": "dirs", "partitions": []}])
    k.show("no topics", "describe_log_dirs", 4, topics=[])
    answer = k.ask("describe_log_dirs", 4, topics=None)
    names = [t["name"] for result in answer["results"] for t in result["topics"]]
    k.write("describe_log_dirs v4: null has all topics", [str("dirs" in names)])
    describe_topic_partitions(k)


def describe_topic_partitions(k):
    k.topic("page-a", 3)
    k.topic("page-b", 3)
    k.topic("page-c", 1)

    def describe(title, *names, limit=2000, cursor=None):
        k.show(title, "describe_topic_partitions", 0, topics=[{"name": name} for name in names],
               response_partition_limit=limit, cursor=cursor and {
                   "topic_name": cursor[0], "partition_index": cursor[1]})

    describe("one", "page-a")
    describe("out of order", "page-b", "page-a")
    describe("twice", "page-c", "page-c")
    describe("unknown", "page-none")
    describe("unknown and known", "page-none", "page-c")
    describe("bad name", "pa/ge")
    describe("first page", "page-a", "page-b", "page-c", limit=2)
    describe("page across topics", "page-a", "page-b", "page-c", limit=4)
    describe("page that ends with a topic", "page-a", "page-b", limit=3)
    describe("next page", "page-a", "page-b", "page-c", limit=2, cursor=("page-a", 2))
    describe("rest", "page-a", "page-b", "page-c", cursor=("page-b", 1))
    describe("cursor beyond a topic", "page-a", "page-b", cursor=("page-a", 3))
    describe("cursor far beyond a topic", "page-a", "page-b", cursor=("page-a", 30))
    describe("cursor at a negative partition", "page-a", cursor=("page-a", -1))
    describe("cursor at another topic", "page-a", "page-c", cursor=("page-b", 0))
    describe("limit 0", "page-a", limit=0)
    describe("limit -1", "page-c", limit=-1)


def security(k):
    """Users, quotas and ACLs, where there are none."""
    k.heading("ACLs, users, quotas")
    k.show_all("any", "describe_acls", resource_type_filter=1, resource_name_filter=None,
               pattern_type_filter=1, principal_filter=None, host_filter=None, operation=1,
               permission_type=1)
    k.show_all("two", "create_acls", creations=2 * [
        {"resource_type": 2, "resource_name": "a", "principal": "User:a", "host": "*",
         "operation": 3, "permission_type": 3}])
    k.show_all("one filter", "delete_acls", filters=[
        {"resource_type_filter": 1, "resource_name_filter": None, "principal_filter": None,
         "host_filter": None, "operation": 1, "permission_type": 1}])
    k.show_all("a mechanism", "sasl_handshake", mechanism="PLAIN")
    k.show_all("none match", "describe_client_quotas", components=[
        {"entity_type": "user", "match_type": 2, "match": None}], strict=False)
    k.show("everybody", "describe_user_scram_credentials", 0, users=None)
    k.show("nobody", "describe_user_scram_credentials", 0, users=[])
    k.show("unknown, one of them twice", "describe_user_scram_credentials", 0, users=[
        {"name": "one"}, {"name": "two"}, {"name": "one"}])


def placement(k):
    k.heading("Leaders, reassignment")
    k.topic("placed", 2)
    node = k.masks.node
    k.show_all("preferred, led by it already; unknown ones", "elect_leaders", topic_partitions=[
        {"topic": "placed", "partitions": [0, 1, 7]}, {"topic": "placed-none", "partitions": [0]}],
        timeout_ms=30000)
    k.show_all("unclean, with a leader", "elect_leaders", 1, election_type=1, topic_partitions=[
        {"topic": "placed", "partitions": [1]}], timeout_ms=30000)
    k.show_all("all partitions", "elect_leaders", topic_partitions=None, timeout_ms=30000)

    def reassign(title, topic, index, replicas):
        k.show(title, "alter_partition_reassignments", 0, timeout_ms=30000, topics=[
            {"name": topic, "partitions": [{"partition_index": index, "replicas": replicas}]}])

    reassign("to where it is", "placed", 0, [node])
    reassign("nothing to cancel", "placed", 0, None)
    reassign("to an unknown broker", "placed", 0, [77])
    reassign("to no broker", "placed", 0, [])
    reassign("to a broker twice", "placed", 0, [node, node])
    reassign("unknown partition", "placed", 9, [node])
    reassign("unknown topic", "placed-none", 0, [node])
    k.show("all", "list_partition_reassignments", 0, topics=None, timeout_ms=30000)
    k.show("of some", "list_partition_reassignments", 0, timeout_ms=30000, topics=[
        {"name": "placed", "partition_indexes": [0]},
        {"name": "placed-none", "partition_indexes": [0]}])


def list_config_resources(k):
    k.heading("ListConfigResources")
    k.topic("resources")
    k.ask("incremental_alter_configs", 1, resources=[
        {"resource_type": 32, "resource_name": "resources-group", "configs": [
            {"name": "consumer.session.timeout.ms", "config_operation": SET,
             "value": "50000"}]}])
    k.show("client metrics", "list_config_resources", 0)

    def listed(title, *types):
        answer = k.ask("list_config_resources", 1, resource_types=list(types))
        k.write(f"list_config_resources v1: {title}", [
            f"error_code={k.masks.number('error_code', answer['error_code'])}"] + sorted(
            f"type={one['resource_type']} name={one['resource_name']!r}"
            for one in answer["config_resources"]
            if one["resource_name"].startswith("resources")))

    listed("all kinds")
    listed("topics and groups", 2, 32)
    listed("client metrics", 16)
    k.show("brokers", "list_config_resources", 1, resource_types=[4])
    listed("an unknown kind", 99)


CASES = [api_versions, metadata, create_topics, delete_topics, create_partitions, describe_configs,
         alter_configs, incremental_alter_configs, cluster, security, placement,
         list_config_resources]
