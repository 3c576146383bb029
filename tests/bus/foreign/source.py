"""Where it all begins (README.md beside this file): publishes roots in transactions, one in five of which it aborts. Each time that
it is started it begins with the same roots, as one that repeats itself; every third time with others, so that no chain grows for ever.

    source.py BOOTSTRAP NAME SEED TRUTH-FILE OUTPUT-TOPICS
"""
import json
import random
import sys
import time

import confluent_kafka

from rules import headers_for, Truth

STYLES = ("causation", "causes", "correlation", "trace", "plain", "both")
PAUSE_S = 0.05  # its load, not a wait

address, name, seed, truth_path, outputs = sys.argv[1:6]
truth, topics = Truth(truth_path), outputs.split(",")
truth.write(e="began")
with open(truth_path, "rb") as written:
    STARTS = written.read().count(b'"began"')
rng = random.Random(f"{seed} {STARTS // 3}")
producer = confluent_kafka.Producer({
    "bootstrap.servers": address, "transactional.id": name, "transaction.timeout.ms": 5000, "linger.ms": 0,
    "topic.metadata.refresh.interval.ms": 1000})
producer.init_transactions(30)


def publish(acked):
    chain, style = f"{rng.getrandbits(128):032x}", rng.choice(STYLES)
    token = f"{name}-{rng.getrandbits(64):016x}"
    value = {"chain": chain, "style": style, "hop": 0, "plan": f"{rng.getrandbits(128):032x}", "token": token,
             "cause": None, "by": name}
    key = chain if style == "plain" else f"customer-{rng.randrange(50)}"

    def on_delivery(error, there):
        if not error:
            acked.append((token, (there.topic(), there.partition(), there.offset())))
    producer.produce(rng.choice(topics), json.dumps(value), key, headers=headers_for(style, chain, token, name, 0, None),
                     callback=on_delivery)


while True:
    done = []
    producer.begin_transaction()
    for _ in range(rng.randrange(1, 4)):
        publish(done)
    if rng.random() < 0.2:
        producer.flush(30)
        producer.abort_transaction(30)
    else:
        producer.commit_transaction(30)
        for one in done:
            truth.acked(*one, time.time())
    time.sleep(PAUSE_S)
