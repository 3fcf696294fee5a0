#!/usr/bin/env python3
"""Writes test/xgboost/VERSION-NAME/{model.json,model.ubj,golden.csv}: small models of the installed XGBoost, with margins
as that very version computes them. The unit tests open the folders, which compares every golden row to the bit, and
compare model.ubj (which 1.6 and later write) with the same rows.

    pip install xgboost==3.2.0 numpy && python3 test/make_xgboost_versions.py test/xgboost

With --contributions it leaves the models of the installed version as they are, and writes what each input adds to each
margin of the golden rows beside them: contributions.csv, pred_contribs row by row.
"""
import os
import sys

import numpy as np
import xgboost as xgb

ROWS = 400


def data():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(ROWS, 5)).astype(np.float32)
    x[:, 1] = rng.integers(0, 12, ROWS)
    x[rng.random(x.shape) < 0.1] = np.nan
    z = np.nan_to_num(x)
    return x, (z[:, 0] * z[:, 2] + (z[:, 1] % 3) > 1).astype(int), (np.abs(z.sum(1)) % 3).astype(int)


def version():
    return tuple(int(p) for p in xgb.__version__.split(".")[:2])


def number(v):
    return "" if np.isnan(v) else np.format_float_scientific(np.float32(v), unique=True, trim="-")


def write(folder, booster, x, margins):
    os.makedirs(folder, exist_ok=True)
    booster.save_model(os.path.join(folder, "model.json"))
    if version() >= (1, 6):
        booster.save_model(os.path.join(folder, "model.ubj"))
    with open(os.path.join(folder, "golden.csv"), "w") as out:
        for row, sums in zip(x[:24], margins[:24]):
            out.write(",".join(number(v) for v in list(row) + list(sums)) + "\n")


def main(target):
    x, two, three = data()
    cases = {
        "binary": (dict(objective="binary:logistic"), two, None),
        "multi": (dict(objective="multi:softprob", num_class=3), three, None),
        "dart": (dict(objective="binary:logistic", booster="dart", rate_drop=0.4), two, None),
        "forest": (dict(objective="count:poisson", num_parallel_tree=3, subsample=0.7), three, None),
    }
    linear = dict(booster="gblinear", updater="coord_descent")
    cases["linear"] = (dict(linear, objective="binary:logistic"), two, None)
    cases["linear-multi"] = (dict(linear, objective="multi:softprob", num_class=3), three, None)
    cases["linear-poisson"] = (dict(linear, objective="count:poisson", base_score=0.8), three, None)
    if version() >= (1, 6):
        kinds = ["q", "c", "q", "q", "q"]
        cases["categories"] = (dict(objective="binary:logistic", tree_method="hist", max_cat_to_onehot=4), two, kinds)
    if version() >= (2, 0):
        quantiles = dict(objective="reg:quantileerror", quantile_alpha=np.array([0.2, 0.8]))
        cases["quantiles"] = (quantiles, three, None)
    for name, (parameters, labels, kinds) in cases.items():
        options = dict(feature_types=kinds, enable_categorical=True) if kinds else {}
        matrix = xgb.DMatrix(x, labels, **options)
        depth = {} if "updater" in parameters else dict(max_depth=4)
        booster = xgb.train(dict(parameters, nthread=1, **depth), matrix, 4)
        margins = booster.predict(matrix, output_margin=True).reshape(ROWS, -1)
        write(os.path.join(target, f"{xgb.__version__}-{name}"), booster, x, margins)


def contributions(target):
    for folder in sorted(os.listdir(target)):
        path = os.path.join(target, folder)
        if not folder.startswith(xgb.__version__ + "-"):
            continue
        booster = xgb.Booster(model_file=os.path.join(path, "model.json"))
        rows = np.genfromtxt(os.path.join(path, "golden.csv"), delimiter=",", dtype=np.float32)[:, :5]
        matrix = xgb.DMatrix(rows, feature_names=booster.feature_names, feature_types=booster.feature_types)
        added = booster.predict(matrix, pred_contribs=True).reshape(len(rows), -1)
        with open(os.path.join(path, "contributions.csv"), "w") as out:
            for row in added:
                out.write(",".join(number(v) for v in row) + "\n")


if __name__ == "__main__":
    contributions(sys.argv[2]) if sys.argv[1] == "--contributions" else main(sys.argv[1])
