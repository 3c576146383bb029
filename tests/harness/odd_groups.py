"""Groups whose members say what no client library expects: an assignment is a client's own bytes."""
import struct

WHOLE = b"\0\0" + struct.pack(">ih6sii", 1, 6, b"orders", 1, 2) + b"\0\0\0\0"  # orders/2

# Assignments by name; "good" is as it should be.
ASSIGNMENTS = {"empty": b"", "short": b"a", "cut": WHOLE[:-10], "many": b"\0\0\x7f\xff\xff\xff",
               "less": b"\0\0\xff\xff\xff\xff", "long": b"\0\0\0\0\0\1\x7f\xffx", "good": WHOLE}


def join(client, group, kind, assignment, instance=None):
    """A member alone in its group, with that assignment; its member id."""
    fields = {"group_id": group, "session_timeout_ms": 300000, "rebalance_timeout_ms": 300000, "member_id": "",
              "group_instance_id": instance, "protocol_type": kind,
              "protocols": [{"name": "range", "metadata": b"m"}]}
    answer = client.ask("join_group", 5, **fields)
    if answer["error_code"] == 79:  # MEMBER_ID_REQUIRED (KIP-394)
        fields["member_id"] = answer["member_id"]
        answer = client.ask("join_group", 5, **fields)
    assert answer["error_code"] == 0, answer
    done = client.ask("sync_group", 3, group_id=group, generation_id=answer["generation_id"],
                      member_id=answer["member_id"], group_instance_id=instance,
                      assignments=[{"member_id": answer["member_id"], "assignment": assignment}])
    assert done["error_code"] == 0, done
    return answer["member_id"]
