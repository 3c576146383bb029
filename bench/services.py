"""Services that handle events in key lanes, beside a plain loop of librdkafka; a part of bench/run."""
import random
import resource
import shutil
import statistics
import subprocess
import time

KEYS = 10000
NEVER = 1000  # of them, with poison
PARTITIONS = 4
WORK_US = 5000
WORKERS = 250
RATE = 2000


def spread(values):
    values = sorted(values)
    return {"median": values[len(values) // 2], "min": values[0], "max": values[-1],
            "runs": len(values)}


def ratio_of_pairs(above, below):
    """How many times as much, by pairs of runs one after the other: what a machine that is slow for a while does to
    one of them it does to the other. The median, and where that lies at 95 % (bootstrap, always the same draws)."""
    ratios = [one / other for one, other in zip(above, below)]
    draw = random.Random(len(ratios))
    medians = sorted(statistics.median(draw.choices(ratios, k=len(ratios))) for _ in range(2000))
    return {"median": statistics.median(ratios), "low": medians[50], "high": medians[-51], "pairs": len(ratios)}


class Bench:
    def __init__(self, server, program):
        self.server, self.program = server, program
        self.runs = 0

    def run(self, mode, *options):
        self.runs += 1
        return self.server.run(self.program, mode, "--group", f"bench-{self.runs}", "--keys", KEYS,
                               *options)

    def topic(self, name):
        self.server.load("create", "--topic", name, "--partitions", PARTITIONS)


def kcat(server, topic):
    """Wall and CPU seconds of kcat reading all of it; None where it is absent."""
    if shutil.which("kcat") is None:
        return None
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(["kcat", "-b", server.bootstrap, "-C", "-t", topic, "-e", "-q", "-o",
                    "beginning"], stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"seconds": time.monotonic() - began,
            "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def catch_up(bench, options):
    """Handlers that do nothing: what the way of an event costs."""
    events = 200000 if options.quick else 1000000
    bench.topic("services-short")
    bench.run("fill", "--topic", "services-short", "--events", events)
    found = {"loop": [], "lanes": [], "kcat": []}
    for turn in range(options.repeat + 1):  # the first one warms up
        for how in (("loop", "lanes"), ("lanes", "loop"))[turn % 2]:
            run = bench.run(how, "--topic", "services-short", "--events", events)
            found[how] += [run] if turn > 0 else []
        read = kcat(bench.server, "services-short")
        found["kcat"] += [read] if turn > 0 and read else []
    bench.server.load("delete", "--topic", "services-short")
    told = {how: {"seconds": spread([run["seconds"] for run in runs]),
                  "cpu_us_each": spread([run["cpu_seconds"] / events * 1e6 for run in runs])}
            for how, runs in found.items() if runs}
    told["lanes"]["cpu_of_loop"] = ratio_of_pairs([run["cpu_seconds"] for run in found["lanes"]],
                                                  [run["cpu_seconds"] for run in found["loop"]])
    return told


def slow_handlers(bench, options):
    """Handlers that wait for 5 ms."""
    bench.topic("services-slow")
    bench.run("fill", "--topic", "services-slow", "--events", 100000)
    found = {"loop": [], "lanes": []}
    for _ in range(options.repeat):
        for how, events in (("loop", 500), ("lanes", 50000)):
            found[how].append(bench.run(how, "--topic", "services-slow", "--events", events,
                                        "--work-us", WORK_US, "--workers", WORKERS))
    bench.server.load("delete", "--topic", "services-slow")
    return {how: spread([run["events_per_second"] for run in runs])
            for how, runs in found.items()}


def poison(bench, options):
    """A steady load, without keys that never succeed and with a tenth of such."""
    found = {0: [], NEVER: []}
    seconds = 10 if options.quick else 30
    for turn in range(options.repeat):
        for never, runs in found.items():
            topic = f"services-poison-{never}-{turn}"
            bench.topic(topic)
            runs.append(bench.run("steady", "--topic", topic, "--never", never, "--rate", RATE,
                                  "--seconds", seconds))
            bench.server.load("delete", "--topic", topic)
    return {str(never): {
        "p50_us": spread([run["handled_us"]["p50"] for run in runs]),
        "p99_us": spread([run["handled_us"]["p99"] for run in runs]),
        "handled_part": spread([run["handled"] / (run["published"] * 3 / 4 * (1 - never / KEYS))
                                for run in runs]),
        "lag_most_seconds": spread([run["lag_most_seconds"] for run in runs]),
        "rss_half_bytes": spread([run["rss_half_bytes"] for run in runs]),
        "rss_end_bytes": spread([run["rss_end_bytes"] for run in runs])}
        for never, runs in found.items()}


def beside_poison(bench, options):
    """Two services with the same events at the same time, one with keys that never succeed: how
    many times as long its others take. And with none, which tells what can be seen by that."""
    found = {NEVER: [], 0: []}
    for turn in range(options.repeat):
        for never, runs in found.items():
            topic = f"services-twins-{never}-{turn}"
            bench.topic(topic)
            bench.topic(topic + "-calm")
            runs.append(bench.run("twins", "--topic", topic, "--never", never, "--rate", RATE // 2,
                                  "--seconds", 10))
            bench.server.load("delete", "--topic", topic)
            bench.server.load("delete", "--topic", topic + "-calm")
    return {str(never): {
        "p99_us": spread([run["handled_us"]["p99"] for run in runs]),
        "calm_p99_us": spread([run["calm_us"]["p99"] for run in runs]),
        "p99_ratio": ratio_of_pairs([run["handled_us"]["p99"] for run in runs],
                                    [run["calm_us"]["p99"] for run in runs])}
        for never, runs in found.items()}


def turning(bench, options):
    """An event for each event: without and with transactions; many keys, and few."""
    found = {}
    for keys in (KEYS, 20):
        events = (40000 if options.quick else 200000) if keys == KEYS else 4000
        for turn in range(options.repeat + 1):  # the first one warms up
            for how in ("turn", "turn-once"):
                topic = f"services-{how}-{keys}-{turn}"
                bench.topic(topic)
                bench.topic(topic + "-out")
                bench.run("fill", "--topic", topic, "--events", events, "--keys", keys)
                run = bench.run(how, "--topic", topic, "--events", events, "--keys", keys)
                found.setdefault(f"{how} {keys}", []).extend([run] if turn > 0 else [])
                bench.server.load("delete", "--topic", topic)
                bench.server.load("delete", "--topic", topic + "-out")
    return {how: {"events_per_second": spread([run["events_per_second"] for run in runs]),
                  "cpu_us_each": spread([run["cpu_seconds"] / run["events"] * 1e6 for run in runs])}
            for how, runs in found.items()}


def measure(server, program, options, results, progress):
    bench = Bench(server, program)
    results["services"] = {}
    for name in options.services:
        progress(f"services, {name}")
        results["services"][name] = PARTS[name][0](bench, options)


def tell_ratio(ratio):
    return f"{ratio['median']:.2f} times ({ratio['low']:.2f} to {ratio['high']:.2f} at 95 %, {ratio['pairs']} pairs)"


def tell_short(short, between):
    print("\na service catches up on events of 100 bytes, 4 partitions, 10,000 keys; its handler "
          "does nothing: seconds, CPU us an event")
    for how, figure in short.items():
        print(f"  {how:<6} {between(figure['seconds'])} s   {between(figure['cpu_us_each'])} us")
    print(f"  CPU of lanes, of the loop's: {tell_ratio(short['lanes']['cpu_of_loop'])}")


def tell_slow(slow, between):
    print(f"handlers of 5 ms: loop {between(slow['loop'], 0)} events/s, lanes of {WORKERS} workers "
          f"{between(slow['lanes'], 0)}, {slow['lanes']['median'] / slow['loop']['median']:.0f} "
          "times as many")


def tell_turning(turns, between):
    print("an event for each event, acknowledged first (turn) or in transactions (turn-once): "
          "events/s, CPU us an event")
    for how, figure in turns.items():
        print(f"  {how:<16} keys {between(figure['events_per_second'], 0)} events/s   "
              f"{between(figure['cpu_us_each'])} us")


def tell_poison(found, _between):
    print(f"{RATE} events/s, some of 10,000 keys never succeed: ms from due to handled, of the "
          "others")
    for never, figure in found.items():
        print(f"  {never:>5} keys   p50 {figure['p50_us']['median'] / 1e3:7.2f}   p99 "
              f"{figure['p99_us']['median'] / 1e3:7.2f}   handled {figure['handled_part']['median']:.3f}"
              f"   commit behind by {figure['lag_most_seconds']['median']:.2f} s   memory "
              f"{figure['rss_half_bytes']['median'] / 1e6:.0f} MB at half time, "
              f"{figure['rss_end_bytes']['median'] / 1e6:.0f} MB at the end")


def tell_twins(found, _between):
    for never, figure in found.items():
        print(f"  {never:>5} keys that never succeed, beside the same events without: p99 "
              f"{tell_ratio(figure['p99_ratio'])}, {figure['p99_us']['median'] / 1e3:.2f} and "
              f"{figure['calm_p99_us']['median'] / 1e3:.2f} ms")


# What is measured, and how it is told.
PARTS = {"short": (catch_up, tell_short), "slow": (slow_handlers, tell_slow), "turning": (turning, tell_turning),
         "poison": (poison, tell_poison), "twins": (beside_poison, tell_twins)}


def tell(services, between):
    for name, found in services.items():
        PARTS[name][1](found, between)
