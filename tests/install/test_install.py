#!/usr/bin/python3
"""What `make install` gives: in a clean copy of the sources whose path has blanks in it.

    tests/install/test_install.py [-v]

The listener of examples/store/README.md is built outside of the source tree, by the line that
README.md gives, against what was installed, and hears an event.
"""
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TIMEOUT_S = 120
BUILD_TIMEOUT_S = 900


def run(*command, cwd=None, timeout=TIMEOUT_S, **environment):
    """What a command printed; fails with all of it when the command does."""
    done = subprocess.run(command, cwd=cwd, env=dict(os.environ, **environment), text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=timeout, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{shlex.join(command)}: {done.returncode}\n{done.stdout}")
    return done.stdout


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


def files_below(folder):
    return sorted(os.path.relpath(os.path.join(at, name), folder)
                  for at, _, names in os.walk(folder) for name in names)


def copy_sources(to):
    """The files that git knows, as they lie here."""
    for name in run("git", "ls-files", "-z", cwd=ROOT).split("\0"):
        source, target = os.path.join(ROOT, name), os.path.join(to, name)
        if name and os.path.exists(source):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy2(source, target)


def listener_source():
    """The program that examples/store/README.md shows."""
    blocks = re.findall(r"^```c\n(.*?)^```", read(ROOT, "examples", "store", "README.md"),
                        re.M | re.S)
    found = [block for block in blocks if "int main" in block]
    assert len(found) == 1, "examples/store/README.md shows one program"
    return found[0]


def compile_line():
    """The line of README.md that builds it, without the blanks before it."""
    found = re.findall(r"^ +(cc listener\.c .*?)(?: +#.*)?$", read(ROOT, "README.md"), re.M)
    assert len(found) == 1, "README.md has one line that builds listener.c"
    return found[0]


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.home = tempfile.mkdtemp(prefix="tidings install ")
        cls.addClassCleanup(shutil.rmtree, cls.home)
        cls.tree = os.path.join(cls.home, "a source tree")
        cls.prefix = os.path.join(cls.home, "the prefix")
        copy_sources(cls.tree)
        # What is built is the same whatever the optimizer makes of it; all else is as a user has it.
        run("make", "install", "PREFIX=" + cls.prefix, cwd=cls.tree, timeout=BUILD_TIMEOUT_S,
            CFLAGS="-O0 -U_FORTIFY_SOURCE")
        cls.libraries = os.path.dirname(cls.find(r"libtidings\.a"))

    @classmethod
    def find(cls, pattern):
        """The one installed file whose path ends like this."""
        found = [name for name in files_below(cls.prefix) if re.search(pattern + "$", name)]
        assert len(found) == 1, f"{pattern}: {found} of {files_below(cls.prefix)}"
        return os.path.join(cls.prefix, found[0])

    def program_environment(self, libraries=None):
        libraries = libraries or self.libraries
        return {"PKG_CONFIG_PATH": os.path.join(libraries, "pkgconfig"),
                "LD_LIBRARY_PATH": libraries}

    def build_listener(self, line, **environment):
        """Builds the README's program in a folder of its own. Its path."""
        folder = tempfile.mkdtemp(prefix="a program ", dir=self.home)
        with open(os.path.join(folder, "listener.c"), "w", encoding="utf-8") as file:
            file.write(listener_source())
        # A prefix with blanks comes quoted out of pkg-config: eval reads the quotes.
        run("/bin/sh", "-c", f'eval "{line}"', cwd=folder, **environment)
        return os.path.join(folder, "a.out")

    def test_the_parts_are_there(self):
        for pattern in (r"bin/tidings", r"include/tidings\.h", r"include/tidings_once\.h",
                        r"include/tidings_test\.h", r"/libtidings\.so",
                        r"/libtidings\.a", r"/pkgconfig/tidings\.pc", r"/tidings/LICENSE",
                        r"man1/tidings\.1", r"man1/tidings-serve\.1", r"man3/tidings_on\.3",
                        r"man7/libtidings\.7", r"/bash-completion/completions/tidings",
                        r"/zsh/site-functions/_tidings", r"/fish/vendor_completions\.d/tidings\.fish"):
            self.find(pattern)
        others = [name for name in files_below(self.prefix) if not re.search(r"/man[137]/", name)]
        self.assertEqual(len(others), 13, others)

    def test_the_tutorial_installs_as_it_says(self):
        lines = re.findall(r"^```sh\n(.*?)^```", read(ROOT, "docs", "tutorial.md"), re.M | re.S)
        self.assertEqual(len(lines), 1)
        home = tempfile.mkdtemp(prefix="tidings-home-")
        self.addCleanup(shutil.rmtree, home)
        run("/bin/sh", "-ec", lines[0], cwd=self.tree, timeout=BUILD_TIMEOUT_S, HOME=home)
        self.assertTrue(os.path.exists(os.path.join(home, "tidings", "bin", "tidings")))

    def test_nothing_but_these_is_built(self):
        made = files_below(os.path.join(self.tree, "build"))
        self.assertEqual([name for name in made
                          if name.startswith(("tests/", "bench/")) and name.endswith(".o")], [])

    def test_the_program_is_stripped(self):
        sections = run("readelf", "-S", "--wide", self.find(r"bin/tidings"))
        self.assertNotIn(".symtab", sections)
        self.assertNotIn(".debug_info", sections)

    def test_the_shared_library_is_named_by_version(self):
        version = run(self.find(r"bin/tidings"), "version").split()[1]
        text = run("readelf", "-d", self.find(r"/libtidings\.so"))
        self.assertEqual(re.findall(r"soname: \[(.*?)\]", text), ["libtidings.so." + version.split(".")[0]])
        module = run("pkg-config", "--modversion", "tidings", **self.program_environment())
        self.assertEqual(module.strip(), version)

    def test_the_libraries_export_what_the_headers_declare(self):
        declared = set(re.findall(r"^TIDINGS_API .*?\b(tidings_\w+)\(",
                                  read(ROOT, "sdk", "tidings.h") +
                                  read(ROOT, "sdk", "tidings_once.h") +
                                  read(ROOT, "sdk", "tidings_test.h"), re.M | re.S))
        for library, how in ((r"/libtidings\.so", ["-D"]), (r"/libtidings\.a", [])):
            text = run("nm", "--defined-only", "--extern-only", *how, self.find(library))
            names = re.findall(r"^[0-9a-f]+ [B-Z] ([^\s@]+)(?:@@TIDINGS_1\.0)?$", text, re.M)
            self.assertGreater(len(names), 8)
            self.assertEqual(set(names), declared, library)

    def test_the_manual_pages_can_be_read(self):
        if shutil.which("man") is None:
            self.skipTest("no man")
        folder = os.path.dirname(os.path.dirname(self.find(r"man1/tidings\.1")))
        for page, word in (("tidings", "subscribe"), ("tidings-topic", "--partitions"),
                           ("tidings_stop", "tidings_run"), ("libtidings", "tidings_on")):
            text = run("man", "--warnings", "-M", folder, page, MANPAGER="cat", MANWIDTH="120")
            self.assertIn(word, text)
            self.assertNotIn("warning:", text)

    def hear(self, program, **environment):
        """Lets the program hear one event on the installed bus, and stops both."""
        tidings = self.find(r"bin/tidings")
        data = tempfile.mkdtemp(prefix="the data ", dir=self.home)
        bus = subprocess.Popen([tidings, "serve", "--data", data, "--listen", "127.0.0.1:0"],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(bus.stdout.close)
        self.addCleanup(bus.wait)
        self.addCleanup(bus.kill)
        address = re.search(r"listen=(\S+)", bus.stdout.readline()).group(1)
        at = ["--bootstrap-server", address]
        run(tidings, "topic", "create", "orders", *at)
        run(tidings, "publish", "orders", "--ce-type", "OrderPlaced", "--ce-source", "/shop",
            "--ce-id", "17", '{"total": 12.50}', *at)
        listener = subprocess.Popen(
            ["stdbuf", "-oL", program], stdout=subprocess.PIPE, text=True,
            env=dict(os.environ, TIDINGS_BOOTSTRAP_SERVER=address, **environment))
        self.addCleanup(listener.stdout.close)
        self.addCleanup(listener.wait)
        self.addCleanup(listener.kill)
        self.assertEqual(listener.stdout.readline(), 'OrderPlaced 17: {"total": 12.50}\n')
        listener.send_signal(signal.SIGTERM)
        self.assertEqual(listener.wait(TIMEOUT_S), 0)
        bus.send_signal(signal.SIGTERM)
        self.assertEqual(bus.wait(TIMEOUT_S), 0)

    def test_the_line_of_the_readme_builds_a_program_that_hears_events(self):
        environment = self.program_environment()
        program = self.build_listener(compile_line(), **environment)
        self.assertIn("libtidings.so", run("ldd", program, **environment))
        self.hear(program, **environment)

    def test_the_static_library_needs_no_other_file_of_ours(self):
        alone = os.path.join(self.home, "static alone")
        shutil.copytree(self.prefix, alone, symlinks=True)
        libraries = self.libraries.replace(self.prefix, alone)
        for name in os.listdir(libraries):
            if ".so" in name:
                os.remove(os.path.join(libraries, name))
        package = os.path.join(libraries, "pkgconfig", "tidings.pc")
        with open(package, encoding="utf-8") as file:
            text = file.read()
        quoted = [place.replace(" ", "\\ ") for place in (self.prefix, alone)]
        self.assertIn(quoted[0], text)
        with open(package, "w", encoding="utf-8") as file:
            file.write(text.replace(*quoted))
        environment = self.program_environment(libraries)
        program = self.build_listener(
            compile_line().replace("pkg-config ", "pkg-config --static "), **environment)
        self.assertNotIn("libtidings", run("ldd", program))
        self.hear(program)

    def test_a_package_can_be_made_in_a_folder_beside(self):
        stage = os.path.join(self.home, "a stage")
        run("make", "install", "PREFIX=/opt/tidings", "DESTDIR=" + stage, cwd=self.tree,
            timeout=BUILD_TIMEOUT_S)
        self.assertEqual(os.listdir(stage), ["opt"])
        # pkg-config does not quote this folder: a name without blanks for it.
        short = tempfile.mkdtemp(prefix="tidings-stage-")
        self.addCleanup(shutil.rmtree, short)
        os.symlink(stage, os.path.join(short, "root"))
        root = os.path.join(short, "root")
        libraries = self.libraries.replace(self.prefix, root + "/opt/tidings")
        environment = self.program_environment(libraries)
        program = self.build_listener(compile_line(), PKG_CONFIG_SYSROOT_DIR=root, **environment)
        self.assertIn(root, run("ldd", program, **environment))

    def test_the_demo_runs_where_the_path_has_blanks(self):
        printed = run("make", "demo", cwd=self.tree, timeout=BUILD_TIMEOUT_S)
        self.assertIn("OK: money, stock, shipments and mails agree with the orders, exactly", printed)
        made = files_below(os.path.join(self.tree, "build"))
        self.assertEqual([name for name in made if name.startswith("tests/") and
                          name.endswith(".o")], [])


if __name__ == "__main__":
    unittest.main()
