#!/usr/bin/python3
"""Who may look at the data, and what happens when it is taken away from a running server.

    TIDINGS_BIN=build/tidings tests/cli/test_private.py -v
"""
import os
import shutil
import stat
import sys
import unittest

from directory import Case, Server, run

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# pylint: disable=wrong-import-position
from harness.server import run_to_end


def mode_of(path):
    try:
        return os.lstat(path).st_mode
    except FileNotFoundError: # the server has removed it since it was listed
        return 0


def open_to_others(folder):
    """What below the folder, and the folder itself, somebody else than its owner may use."""
    paths = [folder]
    for parent, folders, files in os.walk(folder):
        paths += [os.path.join(parent, name) for name in folders + files]
    modes = [(path, mode_of(path)) for path in paths]
    return [f"{path} {stat.filemode(mode)}" for path, mode in modes if mode & 0o077]


class PrivateTest(Case):
    def setUp(self):
        super().setUp()
        self.addCleanup(os.umask, os.umask(0)) # not the umask is what closes them

    def test_nothing_is_open_to_other_users(self):
        backup, restored = self.data + "-backup", self.data + "-restored"
        with Server(self.data, "log.segment.bytes=1MB") as bus:
            bus.run("topic", "create", "orders", "--config", "segment.bytes=1000")
            bus.run("publish", "orders", text="".join(f"event {i}\n" for i in range(1000)))
            bus.run("subscribe", "orders", "--group", "readers", "--from", "start", "--until-end")
            run("backup", self.data, backup)
            self.assertEqual(open_to_others(self.data), [])
        self.assertEqual(open_to_others(self.data), [])
        self.assertEqual(open_to_others(backup), [])
        run("restore", backup, restored)
        self.assertEqual(open_to_others(restored), [])

    def test_an_older_directory_is_closed(self):
        with Server(self.data):
            pass
        os.chmod(self.data, 0o755)
        with Server(self.data) as bus:
            bus.wait_log("closed to other users")
        self.assertEqual(open_to_others(self.data), [])


class LinksTest(Case):
    def refused(self):
        code, text, _ = run_to_end("--data", self.data, "--listen", "127.0.0.1:0")
        self.assertNotEqual(code, 0)
        self.assertIn("is a symbolic link", text)

    def test_a_linked_folder_is_left_alone(self):
        outside = self.path("outside")
        os.mkdir(outside)
        with open(os.path.join(outside, "kept"), "w", encoding="ascii") as file:
            file.write("kept")
        for name in ("snapshots", "topics"):
            with self.subTest(name=name):
                os.makedirs(self.data, exist_ok=True)
                os.symlink(outside, os.path.join(self.data, name))
                self.refused()
                self.assertEqual(os.listdir(outside), ["kept"])
                os.unlink(os.path.join(self.data, name))

    def test_a_linked_file_is_not_written_through(self):
        with Server(self.data) as bus:
            bus.run("topic", "create", "orders")
        outside = self.path("outside")
        with open(outside, "w", encoding="ascii") as file:
            file.write("kept")
        os.symlink(outside, os.path.join(self.data, "checkpoint.tmp"))
        self.refused()
        with open(outside, encoding="ascii") as file:
            self.assertEqual(file.read(), "kept")

    def test_the_data_directory_itself_may_be_a_link(self):
        real = self.path("real")
        os.mkdir(real)
        os.symlink(real, self.data)
        with Server(self.data) as bus:
            bus.run("topic", "create", "orders")
        self.check(0)
        self.assertTrue(os.path.exists(os.path.join(real, "tidings.db")))


class TakenAwayTest(Case):
    def test_events_of_a_removed_directory_are_not_acknowledged(self):
        bus = Server(self.data)
        bus.run("topic", "create", "orders")
        bus.run("publish", "orders", text="kept\n")
        shutil.rmtree(self.data)
        _, told = bus.run("publish", "orders", "--timeout", "5s", text="not kept\n", code=None)
        self.assertNotIn("published 1 event", told)
        bus.wait_log("takes no more writes")
        bus.run("topic", "create", "others", code=1)
        bus.kill()

    def test_no_second_server_behind_a_removed_lock_file(self):
        with Server(self.data) as bus:
            os.unlink(os.path.join(self.data, "lock"))
            code, text, _ = run_to_end("--data", self.data, "--listen", "127.0.0.1:0")
            self.assertEqual(code, 5, text)
            self.assertIn("another tidings", text)
            bus.run("topic", "create", "orders")


if __name__ == "__main__":
    unittest.main()
