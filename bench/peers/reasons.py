#!/usr/bin/env python3
"""Other ways to explain the trees of our own benchmark, one thread, JSON lines {"name", "value", "unit"}.

    MILLRACE_BENCH_KEEP=/tmp/models build/release/benchmark reasons   # leaves 100x6.json and 500x8.json there
    python3 bench/peers/reasons.py /tmp/models

All compute the same values (path-dependent TreeSHAP) of every feature; a few rows are enough, they take milliseconds.
FastTreeSHAP 0.1.6 reads models of XGBoost 1.7 and wants NumPy below 1.24. What is not installed, or refuses the model,
is a line {"name", "skipped"} with the reason.
pip install 'numpy<1.24' 'xgboost==1.7.6' 'scipy<1.12' 'numba<0.59' pandas 'scikit-learn<1.4' 'setuptools<70' tqdm packaging slicer cloudpickle
psutil cython wheel; pip install --no-build-isolation --no-deps fasttreeshap==0.1.6; pip install --no-deps 'shap<0.42'
"""
import importlib.metadata
import json
import os
import sys
import time

import numpy as np

FEATURES = 20


def report(shape, what, who, value, unit):
    print(json.dumps({"name": f"reasons.{shape}.{what}.{who}", "value": float(f"{value:.6g}"), "unit": unit}), flush=True)


def best_ns(body, rounds=3):
    body()
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter_ns()
        body()
        best = min(best, time.perf_counter_ns() - start)
    return best


def measure(shape, who, explain, rows):
    report(shape, "batch", who, best_ns(lambda: explain(rows)) / len(rows), "ns/row")
    report(shape, "one_row", who, best_ns(lambda: explain(rows[:1])), "ns")


def booster_of(path):
    import xgboost

    booster = xgboost.Booster({"nthread": 1}, model_file=path)
    booster.feature_names = None
    return booster


def peer_xgboost(shape, path, rows):
    import xgboost

    booster = booster_of(path)
    measure(shape, "xgboost_pypi", lambda r: booster.predict(xgboost.DMatrix(r), pred_contribs=True), rows)


def peer_shap(shape, path, rows):
    import shap

    explainer = shap.TreeExplainer(booster_of(path), feature_perturbation="tree_path_dependent")
    # The explainer calls XGBoost where it can; its own code is what is asked for here.
    explainer.model.model_type = "other"
    measure(shape, "shap", lambda r: explainer.shap_values(r.astype(np.float64), check_additivity=False), rows)


def fasttreeshap(shape, path, rows, algorithm):
    import fasttreeshap

    explainer = fasttreeshap.TreeExplainer(booster_of(path), algorithm=algorithm, n_jobs=1)
    measure(shape, f"fasttreeshap_{algorithm}", lambda r: explainer.shap_values(r, check_additivity=False), rows)


def peer_fasttreeshap_v1(shape, path, rows):
    fasttreeshap(shape, path, rows, "v1")


def peer_fasttreeshap_v2(shape, path, rows):
    fasttreeshap(shape, path, rows, "v2")


def report_versions():
    versions = []
    for name in ("xgboost", "shap", "fasttreeshap", "numpy"):
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"{name} is not installed")
    print(json.dumps({"name": "reasons", "text": "explainers from PyPI: " + ", ".join(versions)}), flush=True)


def main(models):
    report_versions()
    rng = np.random.default_rng(1)
    # v2 pays for its tables once a call: enough rows that they do not count.
    for shape, count in (("100x6", 2000), ("500x8", 400)):
        rows = ((rng.random((count, FEATURES)) - 0.4) * (1 + np.arange(FEATURES) % 5)).astype(np.float32)
        path = os.path.join(models, f"{shape}.json")
        for peer in (peer_xgboost, peer_shap, peer_fasttreeshap_v1, peer_fasttreeshap_v2):
            few = rows if peer is peer_fasttreeshap_v2 else rows[: count // 10]
            try:
                peer(shape, path, few)
            except Exception as reason:  # a peer that does not install or load is no failure of ours
                why = f"{type(reason).__name__}: {str(reason)[:200]}"
                print(json.dumps({"name": f"reasons.{shape}.{peer.__name__[5:]}", "skipped": why}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
