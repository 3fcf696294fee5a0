#!/usr/bin/env python3
"""Other engines on the models of our own benchmark, one thread, JSON lines {"name", "value", "unit"}.

    MILLRACE_BENCH_KEEP=/tmp/models build/release/benchmark trees   # leaves 100x6.json and 500x8.json there
    python3 bench/peers/trees.py /tmp/models [--slow]

Batches are timed through each engine's own Python call on 4096 float32 rows, where the call costs nothing beside the
work. For one row the call itself dominates (that is what a Python user sees: "one_row"); engines that compile to C are
also timed in a C loop ("one_row_c"). LightGBM reads no XGBoost file: it trains a model of the same shape. What is not
installed, or refuses the model, is a line {"name", "skipped"} with the reason. pip install xgboost lightgbm onnxruntime onnxmltools
treelite tl2cgen numpy
"""
import ctypes
import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

ROWS, FEATURES, ONES = 4096, 20, 300


def report(shape, what, who, value, unit):
    print(json.dumps({"name": f"trees.{shape}.{what}.{who}", "value": float(f"{value:.6g}"), "unit": unit}), flush=True)


def best_ns(body, seconds=1.0):
    body()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter_ns()
        body()
        best = min(best, time.perf_counter_ns() - start)
    return best


def measure(shape, who, predict, rows):
    report(shape, "batch", who, best_ns(lambda: predict(rows)) / ROWS, "ns/row")
    singles = [np.ascontiguousarray(rows[i : i + 1]) for i in range(ONES)]

    def one_by_one():
        for row in singles:
            predict(row)

    report(shape, "one_row", who, best_ns(one_by_one) / ONES, "ns")


def peer_xgboost(shape, path, rows, _):
    import xgboost

    booster = xgboost.Booster({"nthread": 1}, model_file=path)
    booster.feature_names = None
    measure(shape, "xgboost_pypi", lambda r: booster.inplace_predict(r, validate_features=False), rows)


def peer_lightgbm(shape, _, rows, folder):
    import lightgbm

    trees, depth = (int(n) for n in shape.split("x"))
    labels = (rows[:, 0] * rows[:, 1] + rows[:, 2] > rows[:, 3]).astype(int)
    options = dict(objective="binary", num_leaves=2**depth, max_depth=depth, num_threads=1, verbosity=-1, min_data_in_leaf=5)
    model = lightgbm.train(options, lightgbm.Dataset(rows, labels), trees)
    measure(shape, "lightgbm_same_shape", lambda r: model.predict(r, num_threads=1, raw_score=True), rows)


def peer_onnxruntime(shape, path, rows, folder):
    import onnxruntime
    import xgboost
    from onnxmltools.convert import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    model = xgboost.XGBClassifier()
    model.load_model(path)
    onnx = convert_xgboost(model, initial_types=[("x", FloatTensorType([None, FEATURES]))])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(onnx.SerializeToString(), options)
    output = session.get_outputs()[-1].name
    measure(shape, "onnxruntime", lambda r: session.run([output], {"x": r}), rows)


def load_treelite(path):
    import treelite

    return treelite.frontend.load_xgboost_model(path, format_choice="json")


def peer_treelite(shape, path, rows, _):
    import treelite

    model = load_treelite(path)
    measure(shape, "treelite_gtil", lambda r: treelite.gtil.predict(model, r, nthread=1, pred_margin=True), rows)


LOOP = """
#include <time.h>
union Entry { int missing; float fvalue; int qvalue; };
void predict(union Entry *data, int pred_margin, float *result);
double loop(const float *rows, int count, int features) {
    static union Entry entry[4096]; double best = 1e30; float sum = 0;
    for (int round = 0; round < 20; round++) {
        struct timespec a, b; clock_gettime(CLOCK_MONOTONIC, &a);
        for (int r = 0; r < count; r++) {
            float out;
            for (int f = 0; f < features; f++) entry[f].fvalue = rows[r * features + f];
            predict(entry, 1, &out); sum += out;
        }
        clock_gettime(CLOCK_MONOTONIC, &b);
        double ns = (b.tv_sec - a.tv_sec) * 1e9 + (b.tv_nsec - a.tv_nsec);
        if (ns < best) best = ns;
    }
    return best / count + 0 * sum;
}
"""


def peer_tl2cgen(shape, path, rows, folder):
    import tl2cgen

    if shape == "500x8" and "--slow" not in sys.argv:
        raise RuntimeError("compiling 200,000 nodes takes many minutes: give --slow to wait for it")

    model = load_treelite(path)
    library = os.path.join(folder, f"{shape}.so")
    tl2cgen.export_lib(model, toolchain="gcc", libpath=library, params={"parallel_comp": 8}, verbose=False)
    predictor = tl2cgen.Predictor(library, nthread=1)
    measure(shape, "tl2cgen", lambda r: predictor.predict(tl2cgen.DMatrix(r), pred_margin=True), rows)
    source, loop = os.path.join(folder, "loop.c"), os.path.join(folder, f"loop-{shape}.so")
    with open(source, "w") as out:
        out.write(LOOP)
    subprocess.run(["gcc", "-O3", "-shared", "-fPIC", "-o", loop, source, library, f"-Wl,-rpath,{folder}"], check=True)
    call = ctypes.CDLL(loop).loop
    call.restype = ctypes.c_double
    few = np.ascontiguousarray(rows[:2000])
    report(shape, "one_row_c", "tl2cgen", call(few.ctypes.data_as(ctypes.c_void_p), len(few), FEATURES), "ns")


def report_versions():
    versions = []
    for name in ("xgboost", "lightgbm", "onnxruntime", "treelite", "tl2cgen"):
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"{name} is not installed")
    print(json.dumps({"name": "trees", "text": "engines from PyPI: " + ", ".join(versions)}), flush=True)


def main(models):
    report_versions()
    rng = np.random.default_rng(1)
    rows = ((rng.random((ROWS, FEATURES)) - 0.4) * (1 + np.arange(FEATURES) % 5)).astype(np.float32)
    peers = [peer_xgboost, peer_lightgbm, peer_onnxruntime, peer_treelite, peer_tl2cgen]
    for shape in ("100x6", "500x8"):
        path = os.path.join(models, f"{shape}.json")
        for peer in peers:
            with tempfile.TemporaryDirectory() as folder:
                try:
                    peer(shape, path, rows, folder)
                except Exception as reason:  # a peer that does not install or load is no failure of ours
                    why = f"{type(reason).__name__}: {str(reason)[:200]}"
                    print(json.dumps({"name": f"trees.{shape}.{peer.__name__[5:]}", "skipped": why}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
