"""What the services in Python have in common: what is published for an event, and the truth's file."""
import json
import os
import secrets

HOPS = 4
COUNTS = (0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 2, 2)


class Truth:
    def __init__(self, path):
        self.file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, **line):
        os.write(self.file, (json.dumps(line) + "\n").encode())

    def tell(self, what, place):
        self.write(e=what, at="%s/%d/%d" % place)

    def acked(self, token, place, when):
        self.write(e="acked", token=token, at="%s/%d/%d" % place, ms=int(when * 1000))


def headers_for(style, chain, token, name, number, cause):
    """cause: the headers of what made it happen; None for a root."""
    sent = {}
    if style in ("trace", "both"):
        sent["traceparent"] = f"00-{chain}-{secrets.randbits(63) + 1:016x}-01"
    if style not in ("trace", "plain") and not (style == "both" and number % 2 == 1):
        cause_id = cause and cause.get("ce_id")
        sent.update(ce_specversion="1.0", ce_id=token, ce_source="/" + name, ce_type=name + ".did")
        if style != "correlation" and cause_id:
            sent["ce_causationid"] = cause_id
        if style != "causes":
            correlation = cause and cause.get("ce_correlationid") or cause_id
            if correlation:
                sent["ce_correlationid"] = correlation
    return [(header, text.encode()) for header, text in sent.items()]


def follow_ups(value, headers, name, number, outputs, new_id):
    """(topic, value, token, headers) of each."""
    digit = int(value["plan"][(value["hop"] * 7 + number * 3) % 32], 16)
    for i in range(COUNTS[digit] if value["hop"] < HOPS else 0):
        token = new_id(i)
        own = dict(value, hop=value["hop"] + 1, token=token, cause=value["token"], by=name)
        yield (outputs[(digit + i) % len(outputs)], own, token,
               headers_for(value["style"], value["chain"], token, name, number, headers))
