"""Steers the fault layer (faults.c) that is preloaded into the server."""
import mmap
import struct

# struct control of faults.c, in its order.
FIELDS = ["random", "write_errors_left", "write_error_ppm", "short_write_ppm", "space_is_limited",
          "space_left", "sync_errors_left", "slow_us", "clock_ms",
          "dir_syncs_wait", "whole_syncs_wait",
          "writes_failed", "writes_shortened", "writes_without_space", "syncs_failed",
          "calls_slowed", "calls", "log_syncs_failed", "syncs_waiting"]
DONE = ["writes_failed", "writes_shortened", "writes_without_space", "syncs_failed",
        "calls_slowed", "syncs_waiting"]


class Layer:
    """The mapped control file; a field is read and set like layer["slow_us"] = 500."""

    def __init__(self, path, seed):
        self.path = path
        with open(path, "wb") as file:
            file.truncate(4096)
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 4096)
        self["random"] = seed

    def __getitem__(self, field):
        return struct.unpack_from("<q", self.map, 8 * FIELDS.index(field))[0]

    def __setitem__(self, field, value):
        struct.pack_into("<q", self.map, 8 * FIELDS.index(field), value)

    def heal(self):
        """The disk is well again; the clock stays where it is."""
        for field in FIELDS[1:11]:
            if field != "clock_ms":
                self[field] = 0

    def done(self):
        return {field: self[field] for field in DONE}
