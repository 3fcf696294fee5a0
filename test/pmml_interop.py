#!/usr/bin/env python3
"""What JPMML writes and says of scikit-learn, XGBoost and LightGBM models, and of the wine files, Millrace says too.

  python3 test/pmml_interop.py [build/release/millrace]

Needs Java. The Python packages are installed from PyPI into build/jpmml. Doubles must agree to 1e-12 of their size, models
that compute in float32 to 3e-7. The last line is `N passed, N failed, N skipped`."""

import glob
import io
import os
import subprocess
import sys
import tempfile
import warnings

ROOT = os.environ.get("MILLRACE_ROOT", os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MILLRACE = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "build", "release", "millrace"))
PACKAGES = ["jpmml_evaluator==0.16.0", "sklearn2pmml==0.133.1", "scikit-learn==1.9.0", "xgboost", "lightgbm", "pandas"]
warnings.filterwarnings("ignore")


def skip(why):
    print("skipped: %s" % why)
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)


def install_and_restart():
    """Only once: in the new process the imports must work."""
    folder = os.path.join(ROOT, "build", "jpmml")
    python = os.path.join(folder, "bin", "python")
    if sys.prefix == folder:
        skip("the packages in build/jpmml cannot be imported")
    try:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=120)
        subprocess.run([python, "-m", "pip", "install", "-q"] + PACKAGES, check=True, timeout=600,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError) as failed:
        skip("the packages cannot be installed: %s" % failed)
    os.execv(python, [python] + sys.argv)


try:
    import lightgbm
    import numpy as np
    import pandas as pd
    import xgboost
    from jpmml_evaluator import make_evaluator
    from sklearn2pmml import sklearn2pmml
    from sklearn2pmml.decoration import CategoricalDomain, ContinuousDomain
    from sklearn2pmml.pipeline import PMMLPipeline
except ImportError:
    install_and_restart()

from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import *
from sklearn.impute import SimpleImputer
from sklearn.linear_model import *
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import *
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

NUMBERS = ["a", "b", "c"]


def columns(numbers):
    return ColumnTransformer([("n", numbers, NUMBERS), ("c", OneHotEncoder(sparse_output=False), ["col"])])


def recipes():
    """name -> (preparation or None, estimator, inputs, target)"""
    random = np.random.default_rng(3)
    n = 600
    x = pd.DataFrame({"a": random.normal(size=n), "b": random.exponential(size=n).round(2),
                      "c": random.integers(0, 6, n).astype(float), "col": random.choice(["red", "green", "blue", "x y"], n)})
    y = x.a * 2 - x.b + (x.col == "red") * 1.5 + random.normal(size=n) * 0.3
    three, two, bits = np.where(y > 1, "hi", np.where(y > -1, "mid", "lo")), np.where(y > 0, "yes", "no"), (y > 0).astype(int)
    holes = x.copy()
    for c in NUMBERS:
        holes.loc[random.random(n) < 0.15, c] = np.nan
    s = lambda: columns(StandardScaler())
    domain = ContinuousDomain(missing_value_replacement=0.5, invalid_value_treatment="as_missing",
                              outlier_treatment="as_extreme_values", low_value=-1, high_value=1)
    named = ColumnTransformer([("n", make_pipeline(domain, StandardScaler()), NUMBERS),
                               ("c", make_pipeline(CategoricalDomain(invalid_value_treatment="as_is"),
                                                   OneHotEncoder(handle_unknown="ignore", sparse_output=False)), ["col"])])
    voters = lambda: [("l", LogisticRegression()), ("t", DecisionTreeClassifier(max_depth=3)),
                      ("u", DecisionTreeClassifier(max_depth=5))]
    return {
        "linear": (s(), LinearRegression(), x, y), "polynomial": (columns(PolynomialFeatures(2)), Ridge(), x, y),
        "logistic2": (s(), LogisticRegression(), x, two), "logistic3": (s(), LogisticRegression(), x, three),
        "poisson": (s(), PoissonRegressor(), x, np.exp(y / 3)), "gamma": (s(), GammaRegressor(), x, np.exp(y / 3)),
        "sgd": (s(), SGDClassifier(loss="log_loss", random_state=1), x, three), "svc": (s(), LinearSVC(), x, three),
        "tree_number": (None, DecisionTreeRegressor(max_depth=6), x[NUMBERS], y),
        "tree_class": (s(), DecisionTreeClassifier(max_depth=6), x, three),
        "forest_class": (s(), RandomForestClassifier(30, max_depth=7, random_state=1), x, three),
        "forest_number": (s(), RandomForestRegressor(30, max_depth=7, random_state=1), x, y),
        "extra_trees": (s(), ExtraTreesClassifier(20, max_depth=7, random_state=1), x, two),
        "boosting2": (s(), GradientBoostingClassifier(n_estimators=30, random_state=1), x, two),
        "boosting3": (s(), GradientBoostingClassifier(n_estimators=20, random_state=1), x, three),
        "boosting": (s(), GradientBoostingRegressor(n_estimators=30, random_state=1), x, y),
        "histogram": (None, HistGradientBoostingRegressor(max_iter=30), holes[NUMBERS], y),
        "histogram3": (None, HistGradientBoostingClassifier(max_iter=20), holes[NUMBERS], three),
        "adaboost": (s(), AdaBoostClassifier(n_estimators=10, random_state=1), x, two),
        "bagging": (s(), BaggingClassifier(n_estimators=10, random_state=1), x, three),
        "vote_soft": (s(), VotingClassifier(voters(), voting="soft", weights=[1, 2, 1]), x, three),
        "vote_hard": (s(), VotingClassifier(voters(), voting="hard"), x, three),
        "stacking": (s(), StackingClassifier(voters()), x, two),
        "network3": (s(), MLPClassifier((8, 5), max_iter=200, random_state=1), x, three),
        "network2": (s(), MLPClassifier((8,), activation="tanh", max_iter=200, random_state=1), x, two),
        "imputed": (columns(make_pipeline(SimpleImputer(strategy="median"), MinMaxScaler())), LogisticRegression(), holes, two),
        "indicators": (columns(SimpleImputer(strategy="mean", add_indicator=True)), Ridge(), holes, y),
        "bins": (columns(KBinsDiscretizer(4, encode="onehot-dense")), LogisticRegression(), x, two),
        "power": (columns(PowerTransformer()), LinearRegression(), x.assign(b=x.b + 1), y),
        "robust": (columns(RobustScaler()), HuberRegressor(), x, y), "binary": (columns(Binarizer()), LinearRegression(), x, y),
        "calibrated": (s(), CalibratedClassifierCV(DecisionTreeClassifier(max_depth=4), cv=3), x, two),
        "domains": (named, LogisticRegression(), holes, two),
        "xgboost2": (None, xgboost.XGBClassifier(n_estimators=40, max_depth=5), holes[NUMBERS], bits),
        "xgboost": (None, xgboost.XGBRegressor(n_estimators=40, max_depth=5), holes[NUMBERS], y),
        "xgboost_text": (s(), xgboost.XGBClassifier(n_estimators=20, max_depth=4), x, bits),
        "xgboost_poisson": (None, xgboost.XGBRegressor(n_estimators=20, objective="count:poisson"), holes[NUMBERS], np.exp(y / 3)),
        "lightgbm2": (None, lightgbm.LGBMClassifier(n_estimators=30, verbose=-1), holes[NUMBERS], bits),
        "lightgbm": (None, lightgbm.LGBMRegressor(n_estimators=30, verbose=-1), holes[NUMBERS], y),
        "lightgbm3": (None, lightgbm.LGBMClassifier(n_estimators=15, verbose=-1), holes[NUMBERS], three),
    }


def worst(expected, got):
    """The largest difference of two columns; a missing result must be missing in both."""
    a, b = expected.astype(float).to_numpy(), got.astype(float).to_numpy()
    if (np.isnan(a) != np.isnan(b)).any():
        return float("inf")
    return float(np.nanmax(np.abs(a - b) / np.maximum(1, np.abs(a)), initial=0))


def compare(path, rows):
    """None, or what is wrong."""
    with open(path, encoding="utf-8") as file:
        tolerance = 3e-7 if 'x-mathContext="float"' in file.read() else 1e-12
    expected = make_evaluator(path).verify().evaluateAll(rows)
    expected.columns = [str(c) for c in expected.columns]
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.join(folder, "rows.csv")
        rows.to_csv(data, index=False)
        run = subprocess.run([MILLRACE, "score", data, "--model", path, "--keep", rows.columns[0]],
                             capture_output=True, text=True)
    if run.returncode != 0:
        return run.stderr.strip()
    got = pd.read_csv(io.StringIO(run.stdout))
    compared = 0
    for c in expected.columns:
        if c.startswith("probability("):
            compared += 1
            if worst(expected[c], got["score_" + c[12:-1]]) > tolerance:
                return "%s differs by %g" % (c, worst(expected[c], got["score_" + c[12:-1]]))
        elif c == expected.columns[0]:
            compared += 1
            if "score_label" in got:
                if (expected[c].astype(str) != got["score_label"].astype(str)).any():
                    return "labels differ"
            elif worst(expected[c], got["score"]) > tolerance:
                return "the score differs by %g" % worst(expected[c], got["score"])
    return None if compared > 0 else "nothing was compared"


def wines():
    folder = os.path.join(os.environ.get("MILLRACE_DATA", os.path.join(ROOT, "..", "shared", "data")), "wine")
    names = ["fixed acidity", "volatile acidity", "citric acid", "residual sugar", "chlorides", "free sulfur dioxide",
             "total sulfur dioxide", "density", "pH", "sulphates", "alcohol", "quality"]
    if not os.path.isdir(folder):
        return []
    rows = pd.read_csv(os.path.join(folder, "winequality_red.original.csv"), sep=";", header=None, names=names)
    return [(os.path.basename(path), path, rows.drop(columns="quality"))
            for path in sorted(glob.glob(os.path.join(folder, "models", "*.pmml")))]


def main():
    counts = {"passed": 0, "failed": 0, "skipped": 0}

    def take(name, wrong):
        print("%s %s%s" % ("ok" if wrong is None else "not ok", name, "" if wrong is None else ": " + wrong), flush=True)
        counts["passed" if wrong is None else "failed"] += 1

    with tempfile.TemporaryDirectory() as folder:
        for name, path, rows in wines():
            take(name, compare(path, rows))
        for name, (preparation, estimator, rows, target) in recipes().items():
            path = os.path.join(folder, name + ".pmml")
            pipeline = PMMLPipeline(([("p", preparation)] if preparation else []) + [("e", estimator)])
            try:
                pipeline.fit(rows, target)
                saved = os.dup(1), os.dup(2)
                with open(os.devnull, "w") as nowhere:
                    os.dup2(nowhere.fileno(), 1), os.dup2(nowhere.fileno(), 2)
                    try:
                        sklearn2pmml(pipeline, path)
                    finally:
                        os.dup2(saved[0], 1), os.dup2(saved[1], 2)
            except Exception as failed:
                print("skipped: %s: %s" % (name, str(failed).split("\n")[0][:100]))
                counts["skipped"] += 1
                continue
            take(name, compare(path, rows))
    print("%(passed)d passed, %(failed)d failed, %(skipped)d skipped" % counts)
    return counts["failed"] > 0


if __name__ == "__main__":
    sys.exit(main())
