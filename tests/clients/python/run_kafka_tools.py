#!/usr/bin/python3
"""The scenario through Apache Kafka's own command-line tools, by their main classes.

Each call starts a Java machine, so the round trips that the Java client's own runner covers are
left to it. Step dump-log reads the server's log files with Kafka's dump tool.
"""
import json
import os
import re
import subprocess
import sys
import tempfile

from common import WAIT_S, Client, KafkaError, Record, Skip, check, fill, main
from run_confluent_kafka import Confluent

ERRORS = {
    "TopicExistsException": 36, "InvalidTopicException": 17, "InvalidPartitionsException": 37,
    "InvalidConfigurationException": 40, "UnknownTopicOrPartitionException": 3,
    "RecordTooLargeException": 10,
}
TOOLS = "org.apache.kafka.tools."
ROUND_TRIPS = ("codec-zstd", "headers", "tombstone")


class KafkaTools(Client):
    name = "kafka-tools"

    def __init__(self, bootstrap, prefix):
        super().__init__(bootstrap, prefix)
        self.other = Confluent(bootstrap, prefix)

    def run(self, tool, *arguments, sent=""):
        command = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m", "-cp",
                   os.environ["KAFKA_CLASS_PATH"], tool, *arguments]
        done = subprocess.run(command, input=sent, text=True, capture_output=True,
                              timeout=2 * WAIT_S, check=False)
        text = done.stdout + done.stderr
        for name, code in ERRORS.items():
            if name in text:
                raise KafkaError(code, text.strip().splitlines()[0])
        check(done.returncode == 0, f"{tool} {arguments} ended with {done.returncode}: {text}")
        return done.stdout

    def tool(self, tool, *arguments, **named):
        return self.run(TOOLS + tool, "--bootstrap-server", self.bootstrap, *arguments, **named)

    def create_topic(self, topic, partitions, config):
        options = [part for pair in config.items() for part in ("--config", "=".join(pair))]
        if partitions < 1:
            raise Skip("TopicCommand refuses it before it reaches the server")
        if "no.such.setting" in config or "soon" in config.values():
            raise Skip("TopicCommand refuses it before it reaches the server")
        self.tool("TopicCommand", "--create", "--topic", topic, "--partitions", str(partitions),
                  *options)

    def op_create_error(self, step):
        """The tool prints the server's message, not its code."""
        try:
            super().op_create_error(step)
        except AssertionError as error:
            told = re.search(r"Error while executing topic command : (\S.*)", str(error))
            if not told:
                raise
            print("told:", told.group(1), file=sys.stderr)

    def delete_topic(self, topic):
        try:
            self.tool("TopicCommand", "--delete", "--topic", topic)
        except (KafkaError, AssertionError) as error:
            if "does not exist as expected" in str(error):
                raise Skip("TopicCommand looks for the topic before it asks to delete") from error
            raise

    def list_topics(self):
        return set(self.tool("TopicCommand", "--list").split())

    def count_partitions(self, topic):
        text = self.tool("TopicCommand", "--describe", "--topic", topic)
        return int(re.search(r"PartitionCount:\s*(\d+)", text).group(1))

    def configs(self, *arguments):
        return self.run("kafka.admin.ConfigCommand", "--bootstrap-server", self.bootstrap,
                        "--entity-type", "topics", *arguments)

    def get_config(self, topic, key):
        text = self.configs("--describe", "--all", "--entity-name", topic)
        return re.search(rf"^\s*{re.escape(key)}=(\S+)", text, re.M).group(1)

    def set_config(self, topic, key, value):
        self.configs("--alter", "--add-config", f"{key}={value}", "--entity-name", topic)

    def add_partitions(self, topic, partitions):
        self.tool("TopicCommand", "--alter", "--topic", topic, "--partitions", str(partitions))

    def produce(self, *arguments, **named):
        self.other.produce(*arguments, **named)

    def op_round_trip(self, step):
        if step["step"] == "codec-none":
            self.op_performance(step)
        elif step["step"] in ROUND_TRIPS:
            self.op_console(step)
        else:
            raise Skip("the same Java client as the runner java")

    def op_performance(self, step):
        """ProducerPerformance in, ConsumerPerformance out."""
        topic = self.topic("performance")
        self.run(TOOLS + "ProducerPerformance", "--topic", topic, "--num-records", "20000",
                 "--record-size", "200", "--throughput", "-1", "--producer-props",
                 "bootstrap.servers=" + self.bootstrap, "acks=all")
        text = self.tool("ConsumerPerformance", "--topic", topic, "--messages", "20000",
                         "--timeout", str(WAIT_S * 1000))
        count = int(float(text.splitlines()[-1].split(",")[4]))
        check(count >= 20000, f"consumed {count}")

    def op_console(self, step):
        """kafka-console-producer in (it picks the partition), kafka-console-consumer out."""
        topic = self.topic("console-" + step["step"])
        headers = ",".join(f"{key}:{value}" for key, value in step.get("headers", []))
        value = "NULL" if step["value_bytes"] is None else \
            fill(step["step"] + " ", step["value_bytes"]).decode().strip()
        lines = [f"{headers}\tkey-{index}\t{value}" if headers else f"key-{index}\t{value}"
                 for index in range(step["count"])]
        self.run("kafka.tools.ConsoleProducer", "--bootstrap-server", self.bootstrap,
                 "--topic", topic, "--compression-codec", step["codec"],
                 "--property", "parse.key=true", "--property", "null.marker=NULL",
                 "--property", f"parse.headers={str(bool(headers)).lower()}",
                 sent="\n".join(lines) + "\n")
        text = self.tool("consumer.ConsoleConsumer", "--topic", topic, "--from-beginning",
                         "--max-messages", str(len(lines)), "--timeout-ms", str(WAIT_S * 1000),
                         "--property", "print.key=true", "--property", "null.literal=NULL",
                         "--property", f"print.headers={str(bool(headers)).lower()}")
        check(sorted(text.splitlines()) == sorted(lines), f"read {text[:200]}")

    def op_produce_error(self, step):
        try:
            self.run(TOOLS + "ProducerPerformance", "--topic", self.topic(step["topic"]),
                     "--num-records", "1", "--record-size", str(step["value_bytes"]),
                     "--throughput", "-1", "--producer-props",
                     "bootstrap.servers=" + self.bootstrap, "max.request.size=10000000")
        except KafkaError as error:
            check(error.code == step["error"], f"{error}")
            return
        check(False, f"taken, but {step['error_name']} was due")

    def offset_at(self, topic, partition, time_ms):
        text = self.tool("GetOffsetShell", "--topic-partitions", f"{topic}:{partition}", "--time",
                         str(time_ms))
        return int(text.strip().rsplit(":", 1)[1]) if ":" in text else None

    def op_seek_time(self, step):
        topic = self.topic(step["topic"])
        self.produce(topic, [Record(b"k", b"at", [], step["start_ms"] + at * step["every_ms"])
                             for at in range(step["count"])], codec="none", acks=-1,
                     idempotent=False)
        offset = self.offset_at(topic, 0, step["at_ms"])
        check(offset == step["offset"], f"offset {offset}")

    def offsets(self, topic, partition):
        return self.offset_at(topic, partition, -2), self.offset_at(topic, partition, -1)

    def op_commit_resume(self, step):
        """The console consumer commits when it leaves: two in turn read every record once."""
        count = 0
        for part in (step["take"], step["total"] - step["take"]):
            text = self.tool("consumer.ConsoleConsumer", "--topic", self.topic(step["topic"]),
                             "--group", self.topic(step["group"]), "--from-beginning",
                             "--max-messages", str(part), "--timeout-ms", str(WAIT_S * 1000))
            count += len(text.splitlines())
        check(count == step["total"], f"{count} records")

    def op_rebalance(self, step):
        self.other.op_rebalance(step)
        raise Skip("the same Java client as the runner java; confluent-kafka made the group")

    def transactions_tool(self, *arguments):
        return self.tool("TransactionsCommand", *arguments)

    def op_transaction(self, step):
        """kafka-transactions.sh on what confluent-kafka leaves behind."""
        topic, name = self.topic(step["topic"]), self.topic(step["step"])
        with self.other.transactions(name) as producer:
            producer.begin()
            producer.send(topic, ["open"])
            self.told(self.transactions_tool("list"), [name, "Ongoing"])
            self.told(self.transactions_tool("describe", "--transactional-id", name),
                      [name, "Ongoing", f"{topic}-0"])
            text = self.transactions_tool("describe-producers", "--topic", topic, "--partition",
                                          "0")
            check(text.strip().splitlines()[-1].split()[-1] == "0",
                  f"the open transaction starts at offset 0: {text}")
            producer.commit()
        self.told(self.transactions_tool("list"), [name, "CompleteCommit"])
        self.told(self.transactions_tool("describe", "--transactional-id", name),
                  [name, "CompleteCommit"])

    @staticmethod
    def told(text, words):
        """One line of the tool's table has all the words."""
        check(any(set(words) <= set(line.split()) for line in text.splitlines()),
              f"no line with {words}: {text}")

    def op_transaction_fence(self, _):
        raise Skip("the same Java client as the runner java")

    def op_transaction_offsets(self, _):
        raise Skip("the same Java client as the runner java")

    def groups(self, *arguments):
        return self.tool("consumer.group.ConsumerGroupCommand", *arguments)

    def list_groups(self):
        return set(self.groups("--list").split())

    def group_state(self, group):
        text = self.groups("--describe", "--group", group, "--state")
        return text.strip().splitlines()[-1].split()[-2]

    def group_offset(self, group, topic, partition):
        for line in self.groups("--describe", "--group", group).splitlines():
            words = line.split()
            if words[:3] == [group, topic, str(partition)]:
                return int(words[3])
        raise AssertionError("no such line")

    def delete_group(self, group):
        self.groups("--delete", "--group", group)

    def op_delete_records(self, step):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump({"version": 1, "partitions": [{
                "topic": self.topic(step["topic"]), "partition": step["partition"],
                "offset": step["before"]}]}, file)
            file.flush()
            self.tool("DeleteRecordsCommand", "--offset-json-file", file.name)
        earliest = self.offset_at(self.topic(step["topic"]), step["partition"], -2)
        check(earliest == step["before"], f"earliest is {earliest}")

    def op_dump_log(self, step):
        data = os.environ.get("TIDINGS_DATA")
        if not data:
            raise Skip("the server's files are not ours")
        folder = os.path.join(data, "topics", f"{self.topic(step['topic'])}-{step['partition']}")
        logs = sorted(name for name in os.listdir(folder) if name.endswith(".log"))
        text = self.run("kafka.tools.DumpLogSegments", "--deep-iteration", "--print-data-log",
                        "--files", ",".join(os.path.join(folder, name) for name in logs))
        batches = re.findall(r"^baseOffset: (\d+) lastOffset: (\d+).* isvalid: (\w+)", text, re.M)
        check(batches and all(batch[2] == "true" for batch in batches), f"batches {batches}")
        check(int(batches[-1][1]) + 1 == step["records"], f"the last batch is {batches[-1]}")


if __name__ == "__main__":
    main(KafkaTools)
