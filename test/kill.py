#!/usr/bin/env python3
"""kill -9 at random moments: nothing acknowledged is lost, nothing is doubled, the decisions are the same bytes.

A producer and a pipeline run as real processes on one home and are killed again and again, alone or together.
After every kill what can be read must be a beginning of what an undisturbed run gives; at the end all of it.
MILLRACE_KILLS=N sets how often (25), MILLRACE_SEED the moments. The last line is `N passed, N failed, N skipped`."""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = os.path.join(ROOT, "build", "release", "millrace")
KILLS = int(os.environ.get("MILLRACE_KILLS", "25"))
SEED = int(os.environ.get("MILLRACE_SEED", "20180401"))
ROWS = 300_000
DEAD_LETTERS, INTERRUPTED = 1, 12  # exit codes: done, but some records were rejected; stopped by a signal
SCHEMA = "tx: int64, at: timestamp, customer: int64, terminal: int64, amount: float64, fraud: int64"
PIPELINE = """
pipeline: killed
sources:
  payments: {topic: payments, event_time: at, check: amount >= 0}
derive:
  night: hour(at) <= 6
features:
  customer: {key: customer, windows: [1h, 1d], aggregates: {n: count(), mean: mean(amount), high: max(amount)}}
  terminal: {key: terminal, windows: [1d delayed 1h], aggregates: {n: count(), risk: mean(fraud)}}
decide:
  action: "case when amount > 3 * customer_mean_1d then 'block' when night then 'review' else 'allow' end"
sink: decisions
"""


def write_payments(path):
    chance = random.Random(1)
    at = 1522540800
    with open(path, "w", encoding="ascii") as out:
        out.write("tx,at,customer,terminal,amount,fraud\n")
        for tx in range(ROWS):
            at += chance.randrange(0, 8)
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
            out.write(f"{tx},{stamp},{chance.randrange(500)},{chance.randrange(900)},"
                      f"{chance.randrange(-50, 20000) / 100},{int(chance.random() < 0.01)}\n")


def command(home, *words):
    return [PROGRAM, "--home", home, *words]


def consume(home, topic):
    done = subprocess.run(command(home, "consume", topic, "--from", "earliest"), capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else b""


def produce_words(payments):
    return ["produce", "payments", payments, "--producer", "loader", "--event-time", "at", "--schema", SCHEMA, "--quiet"]


def run_quiet(home, *words):
    done = subprocess.run(command(home, *words), capture_output=True, check=False)
    if done.returncode not in (0, DEAD_LETTERS):
        raise RuntimeError(f"millrace {' '.join(words)}: exit {done.returncode}: {done.stderr.decode()[-500:]}")


def start(home, *words):
    return subprocess.Popen(command(home, *words), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE)


def stop(process, how):
    process.send_signal(how)
    _, text = process.communicate(timeout=120)
    return process.returncode, text.decode(errors="replace")


def one_round(home, pipeline, payments, chance, expected):
    """Starts both, kills one or both after a moment; what is left is asked to stop cleanly."""
    producer = start(home, *produce_words(payments))
    runner = start(home, "run", pipeline, "--quiet", "--checkpoint-interval", "50ms")
    time.sleep(chance.uniform(0.005, 0.16))
    victims = chance.choice(["producer", "runner", "both"])
    for name, process in (("producer", producer), ("runner", runner)):
        kill = victims in (name, "both")
        code, text = stop(process, signal.SIGKILL if kill else signal.SIGTERM)
        if not kill and code not in (0, DEAD_LETTERS, INTERRUPTED):
            return f"{name} ended with {code}: {text[-400:]}"
    seen = consume(home, "decisions")
    if os.environ.get("MILLRACE_VERBOSE"):
        print(f"killed {victims}: {len(seen)} of {len(expected)} bytes of decisions")
    if not expected.startswith(seen):
        return f"{len(seen)} bytes of decisions are no beginning of the {len(expected)} expected"
    return None


def main():
    if not os.path.exists(PROGRAM):
        print(f"no {PROGRAM}: build first")
        print("0 passed, 1 failed, 0 skipped")
        return 1
    chance = random.Random(SEED)
    folder = tempfile.mkdtemp(prefix="millrace-kill-")
    payments, pipeline = os.path.join(folder, "payments.csv"), os.path.join(folder, "pipeline.yaml")
    calm, home = os.path.join(folder, "calm"), os.path.join(folder, "home")
    write_payments(payments)
    with open(pipeline, "w", encoding="ascii") as out:
        out.write(PIPELINE)
    run_quiet(calm, *produce_words(payments))
    run_quiet(calm, "run", pipeline, "--until-end", "--quiet")
    expected, letters = consume(calm, "decisions"), consume(calm, "killed.dead")
    passed = failed = 0
    for kill in range(KILLS):
        trouble = one_round(home, pipeline, payments, chance, expected)
        passed += trouble is None
        if trouble is not None:
            failed += 1
            print(f"kill {kill} (seed {SEED}): {trouble}; home kept in {home}")
            break
    if failed == 0:
        run_quiet(home, *produce_words(payments))
        run_quiet(home, "run", pipeline, "--until-end", "--quiet")
        whole = consume(home, "decisions") == expected and consume(home, "killed.dead") == letters
        passed += whole
        failed += not whole
        if not whole:
            print(f"the decisions after {KILLS} kills differ from an undisturbed run; home kept in {home}")
    if failed == 0:
        shutil.rmtree(folder)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
