#!/usr/bin/env python3
"""Writes test/lightgbm/VERSION-NAME/{model.txt,rows.csv}: small models of the installed LightGBM, with raw scores and scores
as that very version computes them after loading the file. The unit tests score the rows and compare raw scores to the bit.

    pip install lightgbm==4.7.0 numpy pandas && python3 test/make_lightgbm_models.py test/lightgbm
    pip install lightgbm==3.3.5 'numpy<1.26' 'pandas<2.1' && python3 test/make_lightgbm_models.py test/lightgbm few

shares.csv: what each input adds to each raw score, and the base value, for some of them.
rows.csv: the inputs (empty, or NULL for texts: missing), then the raw scores, then the scores; the head says how many there are of each.
"""
import os
import sys

import lightgbm as lgb
import numpy as np
import pandas as pd

ROWS = 600
ODD = [0.0, -0.0, np.nan, np.inf, -np.inf, 5e-324, 1e-36, -1e-36, 1.0000000180025095e-35, -1.0000000180025095e-35,
       1.0000000180025097e-35, 1e-34, -1e-34, 1e300, -1e300, 1e308, 0.5, -0.5, -1.0, 2.7, 300.0, 1e10, 2147483648.0,
       float(np.float32(0.1)), 0.1]
BASE = dict(num_leaves=6, verbose=-1, min_data_in_leaf=5, learning_rate=0.3, num_threads=1, deterministic=True, seed=7,
            min_data_per_group=5, cat_smooth=1.0, cat_l2=1.0, max_cat_to_onehot=2)
EXPLAINED = ("zero", "codes", "multiclass", "pandas", "one-leaf")
CODES = {"categorical_feature": [1]}


def plain():
    """Column 1 holds codes, column 3 mostly zeros; one value in ten is missing."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(ROWS, 5))
    x[:, 1] = rng.integers(0, 12, ROWS)
    x[:, 3] = np.where(rng.random(ROWS) < 0.6, 0.0, rng.normal(size=ROWS))
    x[:, 4] = rng.normal(size=ROWS).astype(np.float32)
    x[rng.random(x.shape) < 0.1] = np.nan
    z = np.nan_to_num(x)
    return x, z[:, 0] * z[:, 2] + (z[:, 1] % 3) - np.isnan(x[:, 2]) + (z[:, 3] > 0) - 0.5 * z[:, 4]


def odd_rows(x):
    rng = np.random.default_rng(4)
    rows = x[:14].copy()
    more = rng.choice(ODD, size=(18, x.shape[1]))
    more[:10, 1] = [-1, -0.5, 3.0, 3.99, 2.7, 300, 1e10, 2147483648.0, np.nan, -0.0]
    return np.vstack([rows, more])


def frames():
    """Columns of type category: texts, whole numbers, and an ordered one that is no category to the library."""
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"amount": rng.normal(size=ROWS)})
    frame["country"] = pd.Categorical(rng.choice(["de", "ch", "île", "", "x y"], ROWS))
    frame["code"] = pd.Categorical(rng.choice([10, 20, 35, 7], ROWS))
    frame["night"] = rng.random(ROWS) < 0.3
    label = (frame.amount + (frame.country == "ch") - (frame.code == 20) + frame.night > 0.4).astype(int)
    other = frame.head(24).copy()
    other["country"] = pd.Categorical(list(frame.country[:16]) + ["zz", None, "ch", "île", "", "x y", "de", "DE"])
    other["code"] = pd.Categorical([10, 20, 35, 7, 8, None, 20.0, 7.5] * 3)
    return frame, label, other


def number(v, column=None):
    if v is None or (isinstance(v, float) and np.isnan(v)):
        return "NULL" if column == "country" else ""
    if isinstance(v, (bool, np.bool_)):
        return str(int(v))
    return v if isinstance(v, str) else repr(float(v))


def write(target, name, booster, rows):
    folder = os.path.join(target, f"{lgb.__version__}-{name}")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "model.txt")
    booster.save_model(path)
    loaded = lgb.Booster(model_file=path)
    raw = loaded.predict(rows, raw_score=True).reshape(len(rows), -1)
    score = loaded.predict(rows).reshape(len(rows), -1)
    cells = rows.astype(object).where(rows.notna(), None).values if hasattr(rows, "columns") else rows
    with open(os.path.join(folder, "rows.csv"), "w") as out:
        out.write(f"{rows.shape[1]},{raw.shape[1]},{score.shape[1]}\n")
        for row, sums, scores in zip(cells, raw, score):
            inputs = [number(v, c) for v, c in zip(row, getattr(rows, "columns", range(len(row))))]
            out.write(",".join(inputs + [number(v) for v in [*sums, *scores]]) + "\n")


    if name in EXPLAINED:
        shares = loaded.predict(rows, pred_contrib=True)
        np.savetxt(os.path.join(folder, "shares.csv"), shares, fmt="%.12g", delimiter=",")


def cases(few):
    x, y = plain()
    two, three, positive = (y > 1).astype(int), np.digitize(y, [0.3, 1.2]), np.exp(np.clip(y, -2, 2))
    share = 1 / (1 + np.exp(-y))
    codes = x.copy()
    codes[:, 1] = np.where(np.isnan(x[:, 1]), np.nan, np.random.default_rng(6).integers(0, 600, ROWS))
    wide = y + (np.nan_to_num(codes[:, 1]) % 7 > 3)
    yield "none", dict(objective="binary", use_missing=False), x, two, {}
    yield "zero", dict(objective="binary", zero_as_missing=True), x, two, {}
    yield "nan", dict(objective="binary", sigmoid=2.5), x, two, {}
    yield "codes", dict(objective="regression"), x, y, CODES
    yield "multiclass", dict(objective="multiclass", num_class=3), x, three, CODES
    yield "forest", dict(objective="binary", boosting="rf", bagging_fraction=0.6, bagging_freq=1), x, two, CODES
    yield "linear", dict(objective="regression", linear_tree=True, linear_lambda=0.1), x, y, CODES
    yield "one-leaf", dict(objective="binary", min_data_in_leaf=ROWS), x, two, {}
    if few:
        return
    yield "linear-one-leaf", dict(objective="regression", linear_tree=True, min_data_in_leaf=ROWS), x, y, {}
    yield "wide-codes", dict(objective="regression", max_cat_threshold=64), codes, wide, CODES
    yield "dart", dict(objective="binary", boosting="dart", drop_rate=0.5), x, two, {}
    yield "forest-multiclass", dict(objective="multiclass", num_class=3, boosting="rf", bagging_fraction=0.6,
                                    bagging_freq=1), x, three, {}
    yield "ova", dict(objective="multiclassova", num_class=3, sigmoid=1.5), x, three, {}
    yield "cross-entropy", dict(objective="cross_entropy"), x, share, {}
    yield "cross-entropy-lambda", dict(objective="cross_entropy_lambda"), x, share, {}
    yield "poisson", dict(objective="poisson"), x, positive, {}
    yield "gamma", dict(objective="gamma"), x, positive, {}
    yield "tweedie", dict(objective="tweedie", tweedie_variance_power=1.3), x, positive, {}
    yield "sqrt", dict(objective="regression", reg_sqrt=True), x, y, {}
    yield "l1", dict(objective="regression_l1"), x, y, {}
    yield "huber", dict(objective="huber"), x, y, {}
    yield "fair", dict(objective="fair"), x, y, {}
    yield "quantile", dict(objective="quantile", alpha=0.3), x, y, {}
    yield "mape", dict(objective="mape"), x, positive, {}
    yield "lambdarank", dict(objective="lambdarank"), x, three, dict(group=[20] * (ROWS // 20))
    yield "xendcg", dict(objective="rank_xendcg"), x, three, dict(group=[20] * (ROWS // 20))


def custom_objective(target, x, y):
    def gradients(preds, data):
        return preds - data.get_label(), np.ones(len(preds))
    if int(lgb.__version__.split(".")[0]) >= 4:
        write(target, "custom", lgb.train(dict(BASE, objective=gradients), lgb.Dataset(x, y), 4), odd_rows(x))


def early_stopped(target, x, y):
    """save_model keeps the trees up to the best iteration; a loaded file has no others."""
    half, y = ROWS // 4, y + np.random.default_rng(8).normal(size=ROWS)
    train = lgb.Dataset(x[:half], y[:half])
    booster = lgb.train(dict(BASE, objective="regression", learning_rate=0.6, lambda_l2=0), train, 40,
                        valid_sets=[lgb.Dataset(x[half:], y[half:], reference=train)],
                        callbacks=[lgb.early_stopping(3, verbose=False)])
    assert 0 < booster.best_iteration < 40
    write(target, "early-stopped", booster, odd_rows(x))


def main(target, few):
    for name, parameters, x, y, more in cases(few):
        data = lgb.Dataset(x, y, **more)
        write(target, name, lgb.train(dict(BASE, **parameters), data, 3), odd_rows(x))
    frame, label, other = frames()
    write(target, "pandas", lgb.train(dict(BASE, objective="binary"), lgb.Dataset(frame, label), 3), other)
    x, y = plain()
    if not few:
        custom_objective(target, x, y)
        early_stopped(target, x, y)


if __name__ == "__main__":
    main(sys.argv[1], "few" in sys.argv[2:])
