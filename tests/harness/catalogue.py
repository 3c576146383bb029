"""Changes rows of a stopped server's catalogue, with checksums that fit, as docs/formats.md has it."""
import os
import sqlite3
import struct

from harness.kafka import crc32c

TABLES = ("meta", "topic", "topic_setting", "group_setting", "log_start", "deletion")


def row_crc(*values):
    """The checksum of a row: the name of its table, then its columns."""
    data = b""
    for value in values:
        if isinstance(value, int):
            data += struct.pack(">Bq", 1, value)
        elif isinstance(value, str):
            data += struct.pack(">Bq", 3, len(value.encode())) + value.encode()
        else:
            data += struct.pack(">Bq", 4, len(value)) + value
    return crc32c(data)


def connect(data):
    """The catalogue; SQL may use row_crc."""
    db = sqlite3.connect(os.path.join(data, "tidings.db"))
    db.create_function("row_crc", -1, row_crc, deterministic=True)
    return db


def change(data, sql, *arguments):
    """Runs one statement as if the server had: all checksums fit, in the first file; the other one
    is removed. Returns how many rows it changed."""
    db = connect(data)
    done = db.execute(sql, arguments).rowcount
    rows = crcs = 0
    for table in TABLES:
        columns = [row[1] for row in db.execute(f"pragma table_info({table})")][:-1]
        listed = ", ".join(columns)
        where = "WHERE name <> 'sum'" if table == "meta" else ""
        db.execute(f"UPDATE {table} SET crc = row_crc('{table}', {listed}) {where}")
        count, total = db.execute(
            f"SELECT count(*), coalesce(sum(crc), 0) FROM {table} {where}").fetchone()
        rows += count
        crcs += total
    version = int(db.execute("SELECT value FROM meta WHERE name = 'sum'").fetchone()[0].split()[0])
    text = f"{version + 1} {rows} {crcs}"
    db.execute("UPDATE meta SET value = ?, crc = ? WHERE name = 'sum'",
               (text, row_crc("meta", "sum", text)))
    db.commit()
    db.close()
    forget_copy(data)
    return done


def settle(data):
    """All that is in write-ahead logs goes to the files."""
    for name in ("tidings.db", "tidings-copy.db"):
        db = sqlite3.connect(os.path.join(data, name))
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        db.close()


def forget_copy(data):
    """Removes the second file."""
    for extra in ("", "-wal", "-shm"):
        path = os.path.join(data, "tidings-copy.db" + extra)
        if os.path.exists(path):
            os.remove(path)
