#!/usr/bin/env python3
"""Writes docs/benchmarks.md from the JSON lines of a run.

    bench_report.py RESULTS.jsonl BOUNDS.md > docs/benchmarks.md

The table of promises is TABLE below: one row a promise, in the order of the page. What bounds a figure is written by
hand in BOUNDS.md, one line `row: words` for each row's key. A figure that is missing is shown as skipped, with its
reason when the run gave one.
"""
import collections
import json
import sys

LESS, MORE = "less is better", "more is better"

# key: for bounds; ours: figure of ours; peers: (who, figure) of which the best counts; floor, aim: (number, unit
# of the promise). A promise in "x" is about the ratio to the best peer, one in any other unit about our own figure.
Row = collections.namedtuple("Row", "key what ours peers better floor aim")
BATCH_ENGINES = [("XGBoost from PyPI", "xgboost_pypi"), ("LightGBM, a model of the same shape", "lightgbm_same_shape"),
                 ("ONNX Runtime", "onnxruntime"), ("Treelite GTIL", "treelite_gtil"), ("Treelite compiled (tl2cgen)", "tl2cgen")]
GROUPS = [
    ("Text to columns", [
        Row("json", "JSON lines decode, 12 fields, against simdjson filling the same columns", "json.plain.ours.speed",
            [("simdjson by key", "json.plain.simdjson_by_key.speed"), ("simdjson loop", "json.plain.simdjson_loop.speed")],
            MORE, (1, "x"), (1.5, "x")),
        Row("json-hard", "the same, keys in any order, 17-digit numbers", "json.hard.ours.speed",
            [("simdjson by key", "json.hard.simdjson_by_key.speed"), ("simdjson loop", "json.hard.simdjson_loop.speed")],
            MORE, (1, "x"), (1.5, "x")),
        Row("csv", "CSV decode, 12 fields", "csv.plain.ours.speed", [], MORE, (400, "MB/s"), (800, "MB/s")),
    ]),
    ("Log", [
        Row("log-append", "append durable in batches of 4096 records of 100 bytes, against a plain file with as many syncs",
            "log.append.durable.bytes", [("raw file", "log.append.raw-same-syncs.bytes")], MORE, (0.6, "x"), (0.8, "x")),
        Row("log-overlapped", "append while another thread commits, against one sequential write with one sync",
            "log.append.overlapped.bytes", [("raw file", "log.append.raw-one-sync.bytes")], MORE, (0.6, "x"), (0.8, "x")),
        Row("log-read", "read to columns, copied out of the page cache", "log.read.copied.records", [], MORE,
            (10, "M/s"), (30, "M/s")),
        Row("log-read-lz4", "the same, compressed with LZ4", "log.read-lz4.copied.records", [], MORE, (10, "M/s"), (30, "M/s")),
    ]),
    ("Features", [
        Row("views", "the two cards views together, 1 M keys each", "views.cards.1m_keys.full.rate", [], MORE,
            (2e6, "events/s"), (4e6, "events/s")),
        Row("views-5k", "the same with 5000 keys", "views.cards.5k_keys.full.rate", [], MORE, None, None),
    ]),
    ("Trees, one thread", [
        Row(f"trees-{shape}-{kind}", f"{shape.replace('x', ' x depth ')}, {words}, against the XGBoost library called from C",
            f"trees.{shape}.{kind}.ours", [("xgboost", f"trees.{shape}.{kind}.xgboost")], LESS, floor, aim)
        for shape in ("100x6", "500x8")
        for kind, words, floor, aim in (("batch", "batches", (8, "x"), (20, "x")),
                                        ("one_row", "one row at a time", (25, "x"), (60, "x")))
    ] + [
        Row(f"trees-{shape}-batch-all", f"{shape.replace('x', ' x depth ')}, batches of 4096, against the best of the others",
            f"trees.{shape}.batch.ours", [(who, f"trees.{shape}.batch.{figure}") for who, figure in BATCH_ENGINES], LESS, None,
            (2, "x"))
        for shape in ("100x6", "500x8")
    ] + [
        Row(f"trees-{shape}-one_row-all", f"{shape.replace('x', ' x depth ')}, one row at a time, against the best of the others "
            "(tl2cgen in a C loop, the rest through Python)", f"trees.{shape}.one_row.ours",
            [("tl2cgen in C", f"trees.{shape}.one_row_c.tl2cgen")]
            + [(who, f"trees.{shape}.one_row.{figure}") for who, figure in BATCH_ENGINES], LESS, None, (2, "x"))
        for shape in ("100x6", "500x8")
    ]),
    ("Contributions of every feature (TreeSHAP), one thread", [
        Row(f"reasons-{shape}-{kind}", f"{shape.replace('x', ' x depth ')}, {words}", f"reasons.{shape}.{kind}.ours",
            [("XGBoost called from C", f"reasons.{shape}.{kind}.xgboost")]
            + [(who, f"reasons.{shape}.{kind}.{figure}")
               for who, figure in (("XGBoost from PyPI", "xgboost_pypi"), ("shap", "shap"),
                                   ("FastTreeSHAP v1", "fasttreeshap_v1"), ("FastTreeSHAP v2", "fasttreeshap_v2"))],
            LESS, (1, "x"), (2, "x"))
        for shape in ("100x6", "500x8") for kind, words in (("batch", "batches"), ("one_row", "one row at a time"))
    ]),
    ("Model families, one thread", [
        Row(f"onnx-{name}-{kind}", f"ONNX, {what}, {words}, against ONNX Runtime{how}", f"onnx.{name}.{kind}.ours",
            [("ONNX Runtime", f"onnx.{name}.{kind}.onnxruntime")], LESS, floor, None)
        for name, what in (("logistic", "logistic regression of 11 inputs"), ("forest", "100 trees of depth 8"),
                           ("net", "dense net 11-64-32-1"))
        for kind, words, how, floor in (("batch", "batches of 4096", "", (1, "x")),
                                        ("one_row", "one row at a time", " (its prepared binding, from Python)", (2, "x")))
    ] + [
        Row(f"lightgbm-{shape}-{kind}", f"LightGBM, {shape.replace('x', ' trees x ')} leaves, {words}, against the best of its own "
            "library and Treelite", f"families.lightgbm.{shape}.{kind}.ours",
            [("LightGBM's C API", f"families.lightgbm.{shape}.{kind}.lightgbm"),
             ("Treelite compiled (tl2cgen)", f"families.lightgbm.{shape}.{kind}.tl2cgen"),
             ("Treelite GTIL", f"families.lightgbm.{shape}.{kind}.treelite_gtil")], LESS, floor, aim)
        for shape in ("100x63", "500x255")
        for kind, words, floor, aim in (("batch", "batches of 4096", (1, "x"), (20, "x")),
                                        ("one_row", "one row at a time", (2, "x"), (4, "x")))
    ] + [
        Row(f"families-pmml-{model}", f"PMML, {words}, one row at a time, against JPMML in Java",
            f"families.pmml.{model}.one_row.ours", [("JPMML", f"families.pmml.{model}.one_row.jpmml")], LESS, None, (2, "x"))
        for model, words in (("linear", "linear regression"), ("glm", "GLM"), ("tree", "decision tree"),
                             ("forest", "forest of 10 trees"), ("network", "network 11-10-20-6"))
    ]),
    ("Whole cards pipeline, 100 trees", [
        Row("pipeline-topic", "durable topic to durable decisions, 5000 cards, 1 worker", "pipeline.topic.5k_keys.1_worker", [],
            MORE, (7e5, "events/s"), (2e6, "events/s")),
        Row("pipeline-topic-2", "the same, 2 workers", "pipeline.topic.5k_keys.2_workers", [], MORE, None, None),
        Row("pipeline-1m", "the same, 1 M cards and 1 M terminals, 1 worker", "pipeline.topic.1m_keys.1_worker", [], MORE, None, None),
        Row("pipeline-jsonl", "from JSON lines on disk, 1 worker", "pipeline.jsonl.5k_keys.1_worker", [], MORE,
            (5e5, "events/s"), (1.2e6, "events/s")),
        Row("pipeline-flink", "all of the process on one core, against Apache Flink on one core", "pipeline.one_core.ours",
            [("Flink, heap state", "pipeline.one_core.flink.heap"), ("Flink, RocksDB", "pipeline.one_core.flink.rocksdb")],
            MORE, None, (20, "x")),
        Row("pipeline-river", "the same, against River (Python)", "pipeline.one_core.ours",
            [("River", "pipeline.one_core.river")], MORE, None, None),
    ]),
    ("Event to decision, half of the full load (what goes through beside a sender that is never idle)", [
        Row("latency", "p99, not waiting for fsync", "latency.half_load.no_fsync.p99", [], LESS, (1000, "us"), (200, "us")),
        Row("latency-durable", "p99, payments and decisions durable, against the p99 of one fdatasync",
            "latency.half_load.durable.p99", [("fdatasync", "latency.fdatasync.p99")], LESS, (0.5, "x"), (1 / 1.5, "x")),
        Row("latency-durable-load", "the same, against the p99 of fdatasyncs of two plain files that take as many bytes",
            "latency.half_load.durable.p99", [("fdatasync", "latency.fdatasync_same_load.p99")], LESS, None, None),
        Row("latency-input", "p99, payments durable, decisions written (`sync: os`: a crash of the machine makes them again)",
            "latency.half_load.payments_durable.p99", [("fdatasync", "latency.fdatasync.p99")], LESS, None, None),
        Row("latency-pauses", "longest pause of a thread that only reads the clock, in 3 s", "latency.machine.longest_pause", [], LESS, None, None),
        Row("latency-light", "p99 at 10000 events/s, not waiting for fsync", "latency.10k_events_s.no_fsync.p99", [], LESS, None, None),
        Row("latency-light-durable", "p99 at 10000 events/s, durable, against the p99 of one fdatasync", "latency.10k_events_s.durable.p99",
            [("fdatasync", "latency.fdatasync.p99")], LESS, None, None),
    ]),
    ("Models while they change", [
        Row("swap", "one swap a second at 1 M events/s: p99", "swap.half_load.each_second.p99",
            [("no swaps", "swap.half_load.none.p99")], LESS, None, None),
        Row("swap-999", "the same, p99.9", "swap.half_load.each_second.p99_9", [("no swaps", "swap.half_load.none.p99_9")], LESS, None, None),
        Row("swap-memory", "resident after five minutes of it at 100,000 events/s", "swap.five_minutes.each_second.resident_at_the_end",
            [("after one minute", "swap.five_minutes.each_second.resident_after_1_min")], LESS, None, None),
    ]),
    ("Scale and restart", [
        Row("scale", "10 M events, 1 M customers and terminals: the tenth million", "scale.default_budget.million_10.cpu",
            [("the first million", "scale.default_budget.million_1.cpu")], LESS, None, None),
        Row("scale-quarter", "the same within a quarter of the state's size", "scale.quarter_budget.million_10.cpu",
            [("the first million", "scale.quarter_budget.million_1.cpu")], LESS, None, None),
        Row("pauses", "256 events at half load, 1 M keys, checkpoints without cease: done after, p99.9",
            "state.pauses.with_checkpoints.p99_9", [("without checkpoints", "state.pauses.without_checkpoints.p99_9")], LESS,
            (0.5, "x"), (0.9, "x")),
        Row("pauses-p99", "the same, p99", "state.pauses.with_checkpoints.p99",
            [("without checkpoints", "state.pauses.without_checkpoints.p99")], LESS, (0.5, "x"), (0.9, "x")),
        Row("pauses-p50", "the same, p50", "state.pauses.with_checkpoints.p50",
            [("without checkpoints", "state.pauses.without_checkpoints.p50")], LESS, (0.5, "x"), (0.9, "x")),
        Row("restart", "recovery after 4 M events, checkpoint at stop", "restart.4m_events.checkpoint_at_stop.per_gb", [], LESS,
            (2, "s/GB"), (0.5, "s/GB")),
        Row("restart-small", "the same after 1 M events", "restart.1m_events.checkpoint_at_stop.per_gb", [], LESS,
            (2, "s/GB"), (0.5, "s/GB")),
        Row("restart-old", "and 400 K events to be replayed", "restart.1m_events.checkpoint_400k_events_old.per_gb", [], LESS,
            (2, "s/GB"), (0.5, "s/GB")),
        Row("restart-state", "loading the state alone, 1 worker", "state.recover.1_worker", [], LESS, (2, "s/GB"), (0.5, "s/GB")),
    ]),
    ("The program", [
        Row("start", "start: `millrace version`", "start.version", [], LESS, (50, "ms"), (25, "ms")),
        Row("start-run", "start, run over an empty topic, clean stop", "start.run_empty_topic", [], LESS, (50, "ms"), (25, "ms")),
        Row("idle", "resident, a pipeline idling on an empty topic", "start.idle_resident", [], LESS, (20, "MB"), (10, "MB")),
        Row("binary", "binary, as installed", "start.binary", [], LESS, (5, "MB"), (2.5, "MB")),
    ]),
]


class Results:
    def __init__(self, path):
        self.figures, self.skipped, self.texts, self.groups = {}, {}, {}, {}
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                self.take(json.loads(line))

    def take(self, line):
        if "group" in line:
            self.groups.setdefault(line["group"], {}).update(line)
        elif "skipped" in line:
            self.skipped[line["name"]] = line["skipped"]
        elif "text" in line:
            self.texts[line["name"]] = line["text"]
        else:
            self.figures[line["name"]] = (line["value"], line["unit"])

    def why_missing(self, name):
        """The reason given for the name itself or for the longest part of it that was skipped as a whole."""
        parts = name.split(".")
        for n in range(len(parts), 0, -1):
            prefix = ".".join(parts[:n])
            if prefix in self.skipped:
                return self.skipped[prefix]
        return "not measured"


def number(value):
    if value >= 1e6:
        return f"{value / 1e6:.3g} M"
    if value >= 1e4:
        return f"{value / 1e3:.3g} K"
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


LARGER = {"ns": "us", "us": "ms", "ms": "s", "ns/row": "us/row", "ns/event": "us/event"}


def amount(figure):
    value, unit = figure
    while value >= 1e4 and unit in LARGER:
        value, unit = value / 1e3, LARGER[unit]
    return f"{number(value)} {unit}"


def promise(figure):
    return "" if figure is None else amount(figure)


def best_peer(row, results):
    found = [(who, results.figures[name]) for who, name in row.peers if name in results.figures]
    pick = max if row.better == MORE else min
    return pick(found, key=lambda peer: peer[1][0]) if found else None


def ratio_of(row, ours, peer):
    """How many times better than the peer we are."""
    return ours[0] / peer[1][0] if row.better == MORE else peer[1][0] / ours[0]


def kept(row, limit, ours, ratio):
    """Whether the promise is kept; None when it cannot be told."""
    if limit is None:
        return None
    if limit[1] == "x":
        return None if ratio is None else ratio >= limit[0]
    return ours[0] >= limit[0] if row.better == MORE else ours[0] <= limit[0]


def verdict(row, ours, ratio):
    floor, aim = kept(row, row.floor, ours, ratio), kept(row, row.aim, ours, ratio)
    if aim:
        return "aim"
    if floor:
        return "floor"
    return "**below the floor**" if floor is False else "below the aim" if aim is False else ""


def format_peers(row, results):
    texts = []
    for who, name in row.peers:
        figure = results.figures.get(name)
        texts.append(f"{who} {amount(figure)}" if figure else f"{who}: skipped")
    return "; ".join(texts)


def format_row(row, results):
    ours = results.figures.get(row.ours)
    if ours is None:
        return f"| {row.what} | skipped: {results.why_missing(row.ours)} | {format_peers(row, results)} | | {promise(row.floor)} | {promise(row.aim)} | |"
    peer = best_peer(row, results)
    ratio = ratio_of(row, ours, peer) if peer else None
    cells = [row.what, amount(ours), format_peers(row, results), f"{ratio:.2f} x" if ratio else "",
             promise(row.floor), promise(row.aim), verdict(row, ours, ratio)]
    return "| " + " | ".join(cells) + " |"


def print_machine(results):
    def text(name):
        return results.texts.get("machine." + name, "not measured")

    def figure(name):
        value = results.figures.get("machine." + name)
        return amount(value) if value else "not measured"

    print("## The machine\n")
    print(f"- processor: {text('processor')}, {text('cores')} cores; memory: {text('memory')}")
    print(f"- system: {text('system')}; compiler: {text('compiler')}, release flags of the Makefile")
    print(f"- disk, at the time: sequential write {figure('sequential_write')}; one write with fdatasync "
          f"p50 {figure('fdatasync.p50')}, p99 {figure('fdatasync.p99')}\n")
    loads = ", ".join(f"{name} {group['at'][:16]}Z load {group['load']}" for name, group in sorted(results.groups.items())
                      if "at" in group)
    print(f"When each group ran, and the machine's load average just before: {loads}.\n")


def print_group(title, rows, results, bounds):
    print(f"## {title}\n")
    print("| what | ours | peer | ratio | floor | aim | reached |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        print(format_row(row, results))
    said = [(row.what, bounds[row.key]) for row in rows if row.key in bounds]
    if said:
        print("\nWhat bounds it:\n")
        for what, words in said:
            print(f"- {what}: {words}")
    print()


def print_texts(results):
    texts = {name: text for name, text in results.texts.items() if not name.startswith("machine.")}
    if texts:
        print("## What the peers take\n")
        for name, text in sorted(texts.items()):
            print(f"- {name}: {text}")
        print()


def print_skipped(results):
    print("## Not measured\n")
    for name, reason in sorted(results.skipped.items()):
        print(f"- {name}: {reason}")
    print("" if results.skipped else "Nothing was skipped.\n")


def print_all(results):
    print("## All figures\n")
    print("| figure | value | unit |")
    print("|---|---|---|")
    for name, (value, unit) in sorted(results.figures.items()):
        print(f"| {name} | {value:.6g} | {unit} |")


def read_bounds(path):
    bounds = {}
    keys = {row.key for _, rows in GROUPS for row in rows}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            key, colon, words = line.partition(":")
            if not colon or line.startswith("#"):
                continue
            if key not in keys:
                sys.exit(f"{path}: there is no row {key!r}; rows are {', '.join(sorted(keys))}")
            bounds[key] = words.strip()
    return bounds


def main():
    results, bounds = Results(sys.argv[1]), read_bounds(sys.argv[2])
    print("# Benchmarks\n")
    print("Written by `make bench`. Ours and the peer's figure come from the same run, each the best of several; "
          "per core unless said.\n\"Ratio\" is how many times better ours is than the best peer of the row.\n")
    print_machine(results)
    for title, rows in GROUPS:
        print_group(title, rows, results, bounds)
    print_texts(results)
    print_skipped(results)
    print_all(results)


main()
