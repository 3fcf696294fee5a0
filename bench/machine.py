#!/usr/bin/env python3
"""The machine as JSON lines: processor, cores, memory, kernel, compiler, and what its disk does right now.

    machine.py FOLDER    the disk is the one the folder is on
"""
import json
import os
import platform
import statistics
import subprocess
import sys
import time

SYNCS = 200
SYNC_BYTES = 4096
WRITE_BYTES = 256 << 20
CHUNK_BYTES = 1 << 20


def say(name, text):
    print(json.dumps({"name": "machine." + name, "text": text}), flush=True)


def report(name, value, unit):
    print(json.dumps({"name": "machine." + name, "value": value, "unit": unit}), flush=True)


def first_match(path, key):
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if line.startswith(key):
                return line.split(":", 1)[1].strip()
    return "unknown"


def system_name():
    return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")


def first_line(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]


def measure_syncs(path):
    """Milliseconds of one small write and its fdatasync, into room that is reserved."""
    took = []
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644)
    os.posix_fallocate(file, 0, SYNCS * SYNC_BYTES)
    os.fsync(file)
    for i in range(SYNCS):
        start = time.monotonic()
        os.pwrite(file, bytes(SYNC_BYTES), i * SYNC_BYTES)
        os.fdatasync(file)
        took.append((time.monotonic() - start) * 1e6)
    os.close(file)
    os.remove(path)
    took.sort()
    report("fdatasync.p50", statistics.median(took), "us")
    report("fdatasync.p99", took[SYNCS * 99 // 100], "us")


def measure_sequential(path):
    chunk = os.urandom(CHUNK_BYTES)
    best = 0.0
    for _ in range(3):
        file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644)
        start = time.monotonic()
        for _ in range(WRITE_BYTES // CHUNK_BYTES):
            os.write(file, chunk)
        os.fdatasync(file)
        best = max(best, WRITE_BYTES / 1e6 / (time.monotonic() - start))
        os.close(file)
        os.remove(path)
    report("sequential_write", best, "MB/s")


def main():
    folder = sys.argv[1]
    say("processor", first_match("/proc/cpuinfo", "model name"))
    say("cores", str(len(os.sched_getaffinity(0))))
    say("memory", f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 1e9:.1f} GB")
    say("system", f"{system_name()}, Linux {platform.release()}")
    say("compiler", first_line("gcc", "--version"))
    measure_syncs(os.path.join(folder, "sync.tmp"))
    measure_sequential(os.path.join(folder, "sequential.tmp"))


main()
