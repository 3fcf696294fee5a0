#!/usr/bin/env python3
"""LightGBM's models for our own benchmark, and other engines on them: one thread, JSON lines {"name", "value", "unit"}.

    python3 bench/peers/lightgbm_models.py train FOLDER    # 100x63.txt, 500x255.txt, rows.f64, library (its place)
    MILLRACE_BENCH_LIGHTGBM=FOLDER build/release/benchmark lightgbm   # ours, and LightGBM's own library through its C API
    python3 bench/peers/lightgbm_models.py measure FOLDER [--slow]    # Treelite on the same models and rows

Rows are float64, 28 features. A compiled model is called in a C loop as well ("one_row"). Compiling the larger model takes
many minutes: only with --slow. pip install lightgbm treelite tl2cgen numpy
"""
import ctypes
import importlib.metadata
import json
import os
import subprocess
import sys
import time

import numpy as np

SHAPES, FEATURES, BATCH, ROWS = ((100, 63), (500, 255)), 28, 4096, 40000


def train(folder):
    import lightgbm

    rng = np.random.default_rng(1)
    x = rng.normal(size=(ROWS, FEATURES))
    z = np.sin(x[:, :14]).sum(1) + x[:, 3] * x[:, 17] - x[:, 5] * x[:, 21]
    y = (z + rng.normal(size=ROWS) > 0).astype(int)
    for trees, leaves in SHAPES:
        path = os.path.join(folder, f"{trees}x{leaves}.txt")
        if not os.path.exists(path):
            options = dict(objective="binary", num_leaves=leaves, learning_rate=0.05, verbose=-1)
            lightgbm.train(options, lightgbm.Dataset(x, y), trees).save_model(path)
    rng.normal(size=(BATCH, FEATURES)).tofile(os.path.join(folder, "rows.f64"))
    root = importlib.metadata.distribution("lightgbm")
    places = [str(f.locate()) for f in root.files if os.path.basename(str(f)) == "lib_lightgbm.so"]
    with open(os.path.join(folder, "library"), "w") as out:
        out.write(os.path.abspath(places[0]))


def report(shape, what, who, value):
    unit = "ns/row" if what == "batch" else "ns"
    print(json.dumps({"name": f"families.lightgbm.{shape}.{what}.{who}", "value": float(f"{value:.6g}"), "unit": unit}), flush=True)


def skip(shape, who, why):
    print(json.dumps({"name": f"families.lightgbm.{shape}.batch.{who}", "skipped": why}), flush=True)


def best_ns(body, rounds=5):
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter_ns()
        body()
        best = min(best, time.perf_counter_ns() - start)
    return best


LOOP = """
#include <time.h>
union Entry { int missing; double fvalue; int qvalue; };
void predict(union Entry *data, int pred_margin, double *result);
double loop(const double *rows, int count) {
    union Entry entry[FEATURES]; double best = 1e30, sum = 0;
    for (int round = 0; round < 5; round++) {
        struct timespec a, b; clock_gettime(CLOCK_MONOTONIC, &a);
        for (int r = 0; r < count; r++) {
            double out;
            for (int f = 0; f < FEATURES; f++) entry[f].fvalue = rows[r * FEATURES + f];
            predict(entry, 1, &out); sum += out;
        }
        clock_gettime(CLOCK_MONOTONIC, &b);
        double ns = (b.tv_sec - a.tv_sec) * 1e9 + (b.tv_nsec - a.tv_nsec);
        if (ns < best) best = ns;
    }
    return best / count + 0 * sum;
}
"""


def one_row_in_c(folder, compiled, rows):
    source, loop = os.path.join(folder, "loop.c"), os.path.join(folder, "loop.so")
    with open(source, "w") as out:
        out.write(LOOP)
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", f"-DFEATURES={FEATURES}", "-o", loop, source, compiled], check=True)
    call = ctypes.CDLL(loop).loop
    call.restype = ctypes.c_double
    return call(rows.ctypes.data_as(ctypes.c_void_p), 1000)


def measure(folder, slow):
    import treelite

    rows = np.fromfile(os.path.join(folder, "rows.f64")).reshape(BATCH, FEATURES)
    for trees, leaves in SHAPES:
        shape = f"{trees}x{leaves}"
        model = treelite.frontend.load_lightgbm_model(os.path.join(folder, f"{shape}.txt"))
        report(shape, "batch", "treelite_gtil",
               best_ns(lambda: treelite.gtil.predict(model, rows, nthread=1, pred_margin=True)) / BATCH)
        if trees > 100 and not slow:
            skip(shape, "tl2cgen", "compiling takes many minutes; measured with --slow")
            continue
        import tl2cgen

        compiled = os.path.abspath(os.path.join(folder, f"{shape}.so"))
        if not os.path.exists(compiled):
            tl2cgen.export_lib(model, toolchain="gcc", libpath=compiled, params={"parallel_comp": 8}, verbose=False)
        predictor, data = tl2cgen.Predictor(compiled, nthread=1), tl2cgen.DMatrix(rows, dtype="float64")
        report(shape, "batch", "tl2cgen", best_ns(lambda: predictor.predict(data, pred_margin=True)) / BATCH)
        report(shape, "one_row", "tl2cgen", one_row_in_c(folder, compiled, rows))


if __name__ == "__main__":
    if sys.argv[1] == "train":
        train(sys.argv[2])
    else:
        measure(sys.argv[2], "--slow" in sys.argv[3:])
