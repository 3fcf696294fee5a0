#!/usr/bin/env python3
"""Start-up time, resident memory when idle, size of the installed program.

    start.py MILLRACE FOLDER    FOLDER is for files of this run
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROUNDS = 40
PIPELINE = """pipeline: idle
sources:
  payments:
    topic: payments
    event_time: at
    schema: {tx: int64, at: timestamp, customer: int64, amount: float64}
features:
  customer:
    key: customer
    windows: [1d, 7d, 30d]
    aggregates: {tx_count: count(), amount_mean: mean(amount)}
sink: decisions
"""


def report(name, value, unit):
    print(json.dumps({"name": "start." + name, "value": round(value, 3), "unit": unit}), flush=True)


def best_ms(command):
    times = []
    for _ in range(ROUNDS):
        start = time.monotonic()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        times.append((time.monotonic() - start) * 1e3)
    return min(times)


def resident_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


def run_empty(millrace, folder, home):
    """From the start of `run --until-end` over an empty topic to its end: opens the log, compiles, recovers, stops."""
    return best_ms([millrace, "run", os.path.join(folder, "idle.yaml"), "--home", home, "--until-end", "--quiet"])


def idle_bytes(millrace, folder, home):
    child = subprocess.Popen([millrace, "run", os.path.join(folder, "idle.yaml"), "--home", home, "--quiet"])
    try:
        time.sleep(3)
        if child.poll() is not None:
            sys.exit(f"the idle pipeline ended by itself with exit code {child.returncode}")
        return resident_bytes(child.pid)
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(20)


def main():
    millrace, work = os.path.abspath(sys.argv[1]), sys.argv[2]
    with tempfile.TemporaryDirectory(dir=work) as folder:
        home = os.path.join(folder, "home")
        with open(os.path.join(folder, "idle.yaml"), "w", encoding="utf-8") as file:
            file.write(PIPELINE)
        schema = "tx: int64, at: timestamp, customer: int64, amount: float64"
        subprocess.run([millrace, "topic", "create", "payments", "--home", home, "--schema", schema,
                        "--event-time", "at", "--quiet"], check=True, stdout=subprocess.DEVNULL)
        report("version", best_ms([millrace, "version"]), "ms")
        report("run_empty_topic", run_empty(millrace, folder, home), "ms")
        report("idle_resident", idle_bytes(millrace, folder, home) / 1e6, "MB")
        stripped = os.path.join(folder, "millrace")
        shutil.copy(millrace, stripped)
        subprocess.run(["strip", stripped], check=True)
        report("binary", os.path.getsize(stripped) / 1e6, "MB")


main()
