#!/usr/bin/env python3
"""The whole cards pipeline in River, scored by the XGBoost package, one payment after another.

    river_cards.py PAYMENTS.csv MODEL.json DECISIONS.csv

The customer's windows are River's own TimeRolling means (their n is the count). Windows that end seven days before the
payment it does not have: TimeRolling drops old events only when a new one comes. So the terminal's are deques around
River's Mean, which can take an event back. The payments before the first of DECISIONS.csv fill the windows and are not
scored; from there on the time counts. Payments are in memory beforehand, decisions go to a file.
"""
import collections
import csv
import datetime as dt
import importlib.metadata
import json
import os
import sys
import tempfile
import time

import numpy
import xgboost
from river import stats, utils

PERIODS = [dt.timedelta(days=days) for days in (1, 7, 30)]
DELAY = dt.timedelta(days=7)
SECONDS_MAX = 20
ROWS_MAX = 20000
NAME = "pipeline.one_core.river"


class DelayedMean:
    """Mean over (now - delay - period, now - delay] as of any time."""

    def __init__(self, period):
        self.period, self.mean = period, stats.Mean()
        self.waiting, self.inside = collections.deque(), collections.deque()

    def add(self, at, value):
        self.waiting.append((at, value))

    def move(self, now):
        newest = now - DELAY
        while self.waiting and self.waiting[0][0] <= newest:
            self.inside.append(self.waiting.popleft())
            self.mean.update(self.inside[-1][1])
        while self.inside and self.inside[0][0] <= newest - self.period:
            self.mean.revert(self.inside.popleft()[1])


customers = collections.defaultdict(lambda: [utils.TimeRolling(stats.Mean, period=period) for period in PERIODS])
terminals = collections.defaultdict(lambda: [DelayedMean(period) for period in PERIODS])


def features_of(payment):
    _, at, customer, terminal, amount, fraud = payment
    values = [amount, at.weekday() >= 5, at.hour <= 6]
    for mean in customers[customer]:
        mean.update(amount, t=at)
        values += [mean.obj.n, mean.get()]
    for window in terminals[terminal]:
        window.add(at, fraud)
        window.move(at)
        values += [window.mean.n, window.mean.get() if window.mean.n > 0 else 0]
    return values


def decide(model, values):
    row = numpy.array([values], dtype=numpy.float32)
    score = float(model.inplace_predict(row, validate_features=False)[0])
    return score, "block" if score > 0.9 else "review" if score > 0.5 else "allow"


def read_payments(path, rows):
    with open(path, encoding="utf-8", newline="") as lines:
        reader = csv.reader(lines)
        next(reader)
        for _, (tx, at, customer, terminal, amount, fraud) in zip(range(rows), reader):
            yield int(tx), dt.datetime.fromisoformat(at.rstrip("Z")), int(customer), int(terminal), float(amount), int(fraud)


def read_decisions(path):
    with open(path, encoding="utf-8", newline="") as lines:
        return [(int(row["tx"]), float(row["score"]), row["action"]) for row in csv.DictReader(lines)]


def run_timed(payments, model):
    """The decisions, and how many a second."""
    decisions = []
    start = time.perf_counter()
    with tempfile.TemporaryFile("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        for payment in payments:
            values = features_of(payment)
            score, action = decide(model, values)
            writer.writerow([*payment, *values, score, action])
            decisions.append((payment[0], score, action))
            if time.perf_counter() - start > SECONDS_MAX:
                break
        file.flush()
        os.fdatasync(file.fileno())
    return decisions, len(decisions) / (time.perf_counter() - start)


def packages():
    """River, XGBoost and what they need, with what their files take."""
    wanted, names = ["river", "xgboost"], set()
    while wanted:
        name = wanted.pop()
        if name in names:
            continue
        try:
            needs = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        names.add(name)
        wanted += [need.split(";")[0].strip(" )").split(" ")[0].split(">")[0].split("=")[0].split("<")[0].split("!")[0]
                   .split("[")[0].lower() for need in needs if "extra ==" not in need]
    size = sum(os.path.getsize(file.locate()) for name in names for file in importlib.metadata.files(name) or []
               if os.path.exists(file.locate()))
    return f"{len(names)} packages ({', '.join(sorted(names))}), {size / 1e6:.0f} MB"


def resident_mb():
    with open("/proc/self/status", encoding="utf-8") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1000


def main():
    path, model_path, decisions_path = sys.argv[1:4]
    expected = read_decisions(decisions_path)
    first = expected[0][0]
    payments = list(read_payments(path, first + ROWS_MAX))
    model = xgboost.Booster(model_file=model_path)
    model.set_param({"nthread": 1})
    for payment in payments[:first]:
        features_of(payment)
    for payment in payments[first:first + 100]:
        decide(model, [0.0] * 15)
    decisions, rate = run_timed(payments[first:], model)
    pairs = list(zip(decisions, expected))
    others = sum(own[2] != ours[2] for own, ours in pairs)
    furthest = max(abs(own[1] - ours[1]) for own, ours in pairs)
    with open(__file__, encoding="utf-8") as lines:
        own_lines = len(lines.readlines())
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("river", "xgboost"))
    print(json.dumps({"name": NAME, "value": rate, "unit": "events/s"}))
    print(json.dumps({"name": NAME, "text": f"{versions} on Python {sys.version.split()[0]}; {packages()}; {own_lines} lines "
                      f"of Python; of {len(pairs)} decisions compared with ours {others} differ in the action, scores by "
                      f"{furthest:.2g} at most; {resident_mb():.0f} MB resident at most"}))


main()
