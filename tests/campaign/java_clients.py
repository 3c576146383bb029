"""Builds the Java clients, where Java and Maven are there."""
import importlib.util
import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))


class Missing(Exception):
    """Why there is no Java client on this machine."""


def clients():
    """tests/clients/run.py, which knows how to get the Java client."""
    path = os.path.join(HERE, "..", "clients", "run.py")
    spec = importlib.util.spec_from_file_location("clients_run", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def command(folder, name, pom):
    """The words that start the client of this name, with the libraries that the POM names; its
    classes go into the folder."""
    run = clients()
    try:
        path = run.java_classes(pom)
    except run.Missing as error:
        raise Missing(str(error)) from error
    os.makedirs(folder, exist_ok=True)
    sources = [os.path.join(HERE, "java", source + ".java") for source in (name, "Recorder")]
    done = subprocess.run(["javac", "-cp", path, "-d", folder, *sources], check=False, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise Missing(f"javac: {done.stdout}")
    return ["setpriv", "--pdeathsig", "KILL", "java", "-Xmx128m", "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1", "-cp", f"{folder}:{path}", name]
