#!/usr/bin/env python3
"""Retention beside a pipeline, as real processes: it is tied to no reader, and yet nothing is lost in silence.

 1. `produce` retains the topic that `run` reads, and `run` is killed with -9 every now and then: its checkpoints
    keep ahead of retention, so that recovery needs nothing that is gone; the decisions are those of a topic that
    keeps everything.
 2. A stopped pipeline whose place is gone says so and by how much; --skip-removed goes on behind the gap.
 3. So does a running one that retention overtakes; what it had taken is decided, and nothing is a dead letter.
The last line is `N passed, N failed, N skipped`."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = os.path.join(ROOT, "build", "release", "millrace")
NOT_FOUND = 3  # exit code
SCHEMA = "tx: int64, at: timestamp, customer: int64, amount: float64"
PART_ROWS, PARTS, KILL_EVERY = 10_000, 24, 5
SETTLED_SECONDS = 0.3
SECONDS_MAX = 120
PIPELINE = """
pipeline: kept
sources:
  payments: {topic: payments, event_time: at, check: amount >= 0}
features:
  customer: {key: customer, windows: [1h, lifetime], aggregates: {n: count(), mean: mean(amount)}}
sink: {topic: decisions, columns: [tx, customer_n_1h, customer_mean_lifetime]}
"""


class Home:
    def __init__(self, folder, name, *topic_options):
        self.path = os.path.join(folder, name)
        self.pipeline = os.path.join(folder, "pipeline.yaml")
        self.run("topic", "create", "payments", "--schema", SCHEMA, "--event-time", "at", *topic_options)

    def command(self, *words):
        return [PROGRAM, "--home", self.path, *words]

    def run(self, *words, codes=(0,)):
        done = subprocess.run(self.command(*words), capture_output=True, check=False, timeout=SECONDS_MAX)
        if done.returncode not in codes:
            raise RuntimeError(f"millrace {' '.join(words)}: exit {done.returncode}: {done.stderr.decode()[-500:]}")
        return done

    def start(self):
        words = ["run", self.pipeline, "--quiet", "--checkpoint-interval", "1h"]
        return subprocess.Popen(self.command(*words), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE)

    def offsets(self, topic):
        shown = self.run("topic", "show", topic, "--json", codes=(0, NOT_FOUND)).stdout
        if not shown: # nobody has written to it yet
            return 0, 0
        partition = json.loads(shown)["partition"][0]
        return partition["first_offset"], partition["end_offset"]

    def wait_for_decisions(self, count):
        end = time.monotonic() + SECONDS_MAX
        while self.offsets("decisions")[1] < count:
            if time.monotonic() > end:
                raise RuntimeError(f"{self.offsets('decisions')[1]} of {count} decisions after {SECONDS_MAX} s")
            time.sleep(0.02)

    def newest_checkpoint(self):
        folder = os.path.join(self.path, "pipelines", "kept", "checkpoints")
        return max((name for name in os.listdir(folder) if name.endswith(".manifest")), default="")

    def settle(self):
        """Until no checkpoint has come for a while: the pipeline looks at retention ten times a second."""
        newest, since = self.newest_checkpoint(), time.monotonic()
        while time.monotonic() < since + SETTLED_SECONDS:
            time.sleep(0.02)
            if self.newest_checkpoint() != newest:
                newest, since = self.newest_checkpoint(), time.monotonic()

    def decisions(self):
        return self.run("consume", "decisions", "--from", "earliest").stdout


def write_parts(folder):
    chance = random.Random(1)
    paths, at = [], 1522540800
    for part in range(PARTS):
        paths.append(os.path.join(folder, f"part{part}.csv"))
        with open(paths[-1], "w", encoding="ascii") as out:
            out.write("tx,at,customer,amount\n")
            for row in range(PART_ROWS):
                at += chance.randrange(0, 8)
                stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
                out.write(f"{part * PART_ROWS + row},{stamp},{chance.randrange(500)},{chance.randrange(20000) / 100}\n")
    return paths


def expect(condition, text):
    if not condition:
        raise RuntimeError(text)


def checkpoints_keep_ahead(home, parts, expected):
    """The pipeline follows, is killed, recovers; all the while retention takes what it has read. Three parts are
    what retention leaves, so that a pipeline that gets a moment's rest after each must never be overtaken."""
    runner = home.start()
    try:
        for number, part in enumerate(parts, 1):
            home.run("produce", "payments", part, "--quiet")
            home.wait_for_decisions(number * PART_ROWS)
            if number % KILL_EVERY == 0:
                runner.kill()
                runner.communicate()
                runner = home.start()
            home.settle()
    finally:
        runner.terminate()
        text = runner.communicate()[1].decode()
    expect(runner.returncode == 0, f"the pipeline ended with {runner.returncode}: {text}")
    first = home.offsets("payments")[0]
    expect(first > len(parts) // 2 * PART_ROWS, f"retention took only {first} records: nothing was tried")
    expect(home.decisions() == expected, f"the decisions differ from those of a topic that keeps all; home {home.path}")


def removed(text):
    found = re.search(r"(\d+) records from offset (\d+) on were removed by retention; the first one kept is (\d+)", text)
    expect(found is not None, f"the message does not say how much is gone: {text}")
    gone, place, first = map(int, found.groups())
    expect(gone == first - place > 0, f"{gone} records are not those from {place} to {first}: {text}")
    return gone, place


def goes_on_behind_the_gap(home, decided):
    """The gap is told, then passed over on request, once."""
    told = home.run("run", home.pipeline, "--until-end", codes=(NOT_FOUND,)).stderr.decode()
    gone, _ = removed(told)
    expect("--skip-removed" in told, f"the message names no way on: {told}")
    expect(home.offsets("decisions")[1] == decided, "a refused start has decided something")
    again = home.run("run", home.pipeline, "--until-end", "--skip-removed", "--json")
    expect(json.loads(again.stdout)["removed"] == gone, f"{again.stdout} does not count the {gone} removed records")
    first, end = home.offsets("payments")
    expect(home.offsets("decisions")[1] == decided + end - first, f"{end - first} records were kept after {gone} removed")
    once = home.run("run", home.pipeline, "--until-end", "--json")
    expect(json.loads(once.stdout)["removed"] == 0, "the gap is counted twice")


def stopped_says_how_much_is_gone(home, parts):
    decided = home.offsets("decisions")[1]
    for part in parts:
        home.run("produce", "payments", part, "--quiet")
    goes_on_behind_the_gap(home, decided)


def running_says_how_much_is_gone(home, parts):
    runner = home.start()
    place = home.offsets("payments")[1]
    decided = home.offsets("decisions")[1]
    home.run("produce", "payments", parts[0], "--quiet")
    home.wait_for_decisions(decided + PART_ROWS)
    runner.send_signal(signal.SIGSTOP)
    for part in parts:
        home.run("produce", "payments", part, "--quiet")
    runner.send_signal(signal.SIGCONT)
    text = runner.communicate(timeout=SECONDS_MAX)[1].decode()
    expect(runner.returncode == NOT_FOUND, f"the pipeline ended with {runner.returncode}: {text}")
    _, stopped_at = removed(text)
    now = home.offsets("decisions")[1]
    expect(now - decided == stopped_at - place, f"{now - decided} decisions for {stopped_at - place} records: {text}")
    goes_on_behind_the_gap(home, now)
    topics = home.run("topic", "list").stdout.decode()
    expect("kept.dead" not in topics or home.offsets("kept.dead")[1] == 0, "removed records became dead letters")


def main():
    if not os.path.exists(PROGRAM):
        print(f"no {PROGRAM}: build first")
        print("0 passed, 1 failed, 0 skipped")
        return 1
    folder = tempfile.mkdtemp(prefix="millrace-retention-")
    parts = write_parts(folder)
    with open(os.path.join(folder, "pipeline.yaml"), "w", encoding="ascii") as out:
        out.write(PIPELINE)
    calm = Home(folder, "calm")
    calm.run("produce", "payments", *parts, "--quiet")
    calm.run("run", calm.pipeline, "--until-end", "--quiet")
    home = Home(folder, "home", "--retention-bytes", "1MiB", "--segment-bytes", "128KiB")
    tests = [lambda: checkpoints_keep_ahead(home, parts, calm.decisions()),
             lambda: stopped_says_how_much_is_gone(home, parts[:6]),
             lambda: running_says_how_much_is_gone(home, parts[:6])]
    passed = failed = 0
    for test in tests:
        try:
            test()
            passed += 1
        except RuntimeError as error:
            failed += 1
            print(f"FAILED {error}")
            break
    if failed == 0:
        shutil.rmtree(folder)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
