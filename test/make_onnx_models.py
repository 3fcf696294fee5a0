#!/usr/bin/env python3
"""Writes NAME/{model.onnx,rows.csv}: small ONNX models, made by skl2onnx, or node by node for what it does not emit, with
labels and scores as the installed ONNX Runtime computes them, one thread. The unit tests score the rows again.

    pip install onnx onnxruntime skl2onnx scikit-learn pandas && python3 test/make_onnx_models.py test/onnx
    python3 test/make_onnx_models.py FOLDER soak SEED       # larger models, other data; for MILLRACE_ONNX_MODELS=FOLDER

rows.csv: a head `tolerance,labels,scores`, then rows: the inputs (empty: NaN), the label if there is one, the scores. The
tolerance is relative to the greater of 1 and the score; 0 means the same bits.
"""
import os
import sys
import warnings

import numpy as np
import onnx
import onnxruntime as ort
import pandas as pd
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper

warnings.filterwarnings("ignore")
ROWS = 40
CASES = {}
ML = "ai.onnx.ml"


def case(tolerance):
    def keep(make):
        CASES[make.__name__] = (tolerance, make)
        return make

    return keep


# ---- data ----

class World:
    def __init__(self, seed, large):
        self.rng = np.random.default_rng(seed)
        self.large = large

    def size(self, small, large):
        return large if self.large else small

    def numbers(self, columns=5, rows=None, dtype=np.float32):
        return self.rng.normal(size=(rows or self.size(120, 2000), columns)).astype(dtype)

    def two(self, x):
        return (x[:, 0] * x[:, 1] + x[:, 2] > 0.2).astype(np.int64)

    def three(self, x):
        return (np.abs(x.sum(1)) * 2 % 3).astype(np.int64)


def to_onnx(model, x, **options):
    from skl2onnx import to_onnx as convert

    return convert(model, x[:1], **options)


# ---- node by node ----

class Graph:
    """Nodes one after the other; every call gives the name of its output."""

    def __init__(self, opset=17, ml=3):
        self.nodes, self.constants, self.opset, self.ml, self.count = [], [], opset, ml, 0

    def constant(self, value, dtype=np.float32):
        name = f"c{len(self.constants)}"
        array = np.asarray(value, dtype=dtype)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def __call__(self, op, *inputs, outputs=1, domain="", **attributes):
        names = [f"v{self.count + i}" for i in range(outputs)]
        self.count += outputs
        self.nodes.append(h.make_node(op, list(inputs), names, domain=domain, name=f"{op}_{self.count}", **attributes))
        return names[0] if outputs == 1 else names

    def ml_op(self, op, *inputs, **attributes):
        return self(op, *inputs, domain=ML, **attributes)

    def model(self, inputs, outputs, metadata=None):
        graph = h.make_graph(
            self.nodes, "g", [h.make_tensor_value_info(n, t, s) for n, t, s in inputs],
            [onnx.ValueInfoProto(name=o) if isinstance(o, str) else h.make_tensor_value_info(*o) for o in outputs],
            self.constants)
        made = h.make_model(graph, opset_imports=[h.make_opsetid("", self.opset), h.make_opsetid(ML, self.ml)], ir_version=8)
        for key, value in (metadata or {}).items():
            h.set_model_props(made, {key: value})
        return made


def x_input(columns, t=T.FLOAT):
    return ("x", t, [None, columns])


# ---- scikit-learn ----

@case(2e-6)
def logistic(w):
    from sklearn.linear_model import LogisticRegression

    x = w.numbers()
    return to_onnx(LogisticRegression().fit(x, w.two(x)), x), {"X": x}


@case(2e-6)
def logistic_three(w):
    from sklearn.linear_model import LogisticRegression

    x = w.numbers()
    labels = np.array(["low", "middle", "high"])[w.three(x)]
    return to_onnx(LogisticRegression().fit(x, labels), x, options={"zipmap": False}), {"X": x}


@case(2e-6)
def columns(w):
    """What a table becomes: numbers imputed and scaled, texts and codes one-hot; a column each."""
    from skl2onnx import to_onnx as convert
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    n = w.size(120, 2000)
    table = pd.DataFrame({
        "amount": w.rng.normal(50, 20, n).astype(np.float32), "age": w.rng.normal(40, 9, n).astype(np.float32),
        "country": w.rng.choice(["AT", "DE", "FR", "JP"], n), "code": w.rng.integers(0, 5, n).astype(np.int64)})
    y = np.where((table.amount > 55) ^ (table.country == "DE"), "fraud", "fine")
    holes = table.copy()
    holes.loc[w.rng.random(n) < 0.1, "amount"] = np.nan
    model = make_pipeline(ColumnTransformer([
        ("n", make_pipeline(SimpleImputer(), StandardScaler()), ["amount", "age"]),
        ("c", OneHotEncoder(handle_unknown="ignore"), ["country", "code"])]), LogisticRegression())
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType

    kinds = {"amount": FloatTensorType, "age": FloatTensorType, "country": StringTensorType, "code": Int64TensorType}
    model.fit(holes, y)
    made = convert(model, initial_types=[(c, k([None, 1])) for c, k in kinds.items()], options={"zipmap": False})
    holes.loc[:5, "country"] = "unseen"
    return made, {c: holes[[c]].to_numpy() for c in kinds}


@case(0)
def forest_two(w):
    from sklearn.ensemble import RandomForestClassifier

    x = w.numbers()
    model = RandomForestClassifier(w.size(4, 100), max_depth=w.size(3, 10), random_state=1)
    return to_onnx(model.fit(x, w.two(x)), x), {"X": x}


@case(0)
def forest_three(w):
    from sklearn.ensemble import ExtraTreesClassifier

    x = w.numbers()
    model = ExtraTreesClassifier(w.size(4, 100), max_depth=w.size(3, 10), random_state=1)
    return to_onnx(model.fit(x, w.three(x)), x), {"X": x}


@case(0)
def forest_values(w):
    from sklearn.ensemble import RandomForestRegressor

    x = w.numbers()
    y = np.stack([x[:, 0] * x[:, 1], x[:, 2]], 1)
    return to_onnx(RandomForestRegressor(w.size(3, 100), max_depth=w.size(3, 10), random_state=1).fit(x, y), x), {"X": x}


@case(2e-6)
def boosting_two(w):
    from sklearn.ensemble import GradientBoostingClassifier

    x = w.numbers()
    return to_onnx(GradientBoostingClassifier(n_estimators=w.size(4, 100)).fit(x, w.two(x)), x), {"X": x}


@case(2e-6)
def boosting_three(w):
    from sklearn.ensemble import GradientBoostingClassifier

    x = w.numbers()
    return to_onnx(GradientBoostingClassifier(n_estimators=w.size(2, 60)).fit(x, w.three(x)), x), {"X": x}


@case(0)
def boosting_values(w):
    from sklearn.ensemble import GradientBoostingRegressor

    x = w.numbers()
    return to_onnx(GradientBoostingRegressor(n_estimators=w.size(5, 100)).fit(x, x[:, 0] * x[:, 1]), x), {"X": x}


@case(2e-6)
def adaboost(w):
    from sklearn.ensemble import AdaBoostClassifier

    x = w.numbers()
    return to_onnx(AdaBoostClassifier(n_estimators=w.size(3, 20)).fit(x, w.three(x)), x), {"X": x}


@case(1e-6)
def bagging(w):
    from sklearn.ensemble import BaggingClassifier

    x = w.numbers()
    from sklearn.tree import DecisionTreeClassifier
    model = BaggingClassifier(DecisionTreeClassifier(max_depth=w.size(2, 8)), n_estimators=w.size(2, 10), random_state=1)
    return to_onnx(model.fit(x, w.three(x)), x), {"X": x}


@case(5e-6)
def perceptron(w):
    from sklearn.neural_network import MLPClassifier

    x = w.numbers()
    model = MLPClassifier((w.size(6, 64), w.size(4, 32)), activation="tanh", max_iter=50)
    return to_onnx(model.fit(x, w.three(x)), x), {"X": x}


@case(1e-12)
def perceptron_double(w):
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler

    x = w.numbers(dtype=np.float64)
    model = make_pipeline(MinMaxScaler(), MLPRegressor(hidden_layer_sizes=(5,), activation="logistic", max_iter=50))
    return to_onnx(model.fit(x, x[:, 0] * x[:, 1]), x), {"X": x}


@case(1e-5)
def naive_bayes(w):
    from sklearn.naive_bayes import GaussianNB

    x = w.numbers()
    return to_onnx(GaussianNB().fit(x, w.three(x)), x), {"X": x}


@case(2e-6)
def clusters(w):
    from sklearn.cluster import KMeans

    x = w.numbers()
    return to_onnx(KMeans(3, n_init=1, random_state=1).fit(x), x), {"X": x}


@case(2e-6)
def linear_values(w):
    from sklearn.linear_model import LinearRegression

    x = w.numbers()
    return to_onnx(LinearRegression().fit(x, np.stack([x[:, 0], x[:, 1] - x[:, 3]], 1)), x), {"X": x}


@case(2e-6)
def poisson(w):
    from sklearn.linear_model import PoissonRegressor

    x = w.numbers()
    return to_onnx(PoissonRegressor().fit(x, np.abs(x[:, 0])), x), {"X": x}


@case(5e-6)
def components(w):
    from sklearn.decomposition import PCA
    from sklearn.linear_model import RidgeClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer, PolynomialFeatures

    x = w.numbers()
    model = make_pipeline(Normalizer(), PolynomialFeatures(2), PCA(4), RidgeClassifier())
    return to_onnx(model.fit(x, w.three(x)), x), {"X": x}


# ---- nets as PyTorch exports them ----

@case(5e-6)
def net(w):
    g = Graph(17)
    sizes = [11, w.size(8, 64), w.size(4, 32), 1]
    at = "x"
    for i in range(3):
        weights = g.constant(w.rng.normal(size=(sizes[i + 1], sizes[i])) / 3)
        at = g("Gemm", at, weights, g.constant(w.rng.normal(size=sizes[i + 1])), alpha=1.0, beta=1.0, transB=1)
        if i == 0:
            at = g("BatchNormalization", at, *(g.constant(np.abs(w.rng.normal(size=sizes[1])) + 0.1) for _ in range(4)))
        if i < 2:
            at = g("Relu", at)
    out = g("Sigmoid", at)
    x = w.numbers(11)
    return g.model([x_input(11)], [(out, T.FLOAT, [None, 1])], {"feature_names": ", ".join(f"column {i}" for i in range(11))}), {"x": x}


@case(1e-5)
def net_activations(w):
    g = Graph(18)
    outs = []
    for op, more in [("Tanh", {}), ("Sigmoid", {}), ("LeakyRelu", {"alpha": 0.2}), ("Elu", {"alpha": 1.5}), ("Selu", {}),
                     ("Softplus", {}), ("Softsign", {}), ("HardSigmoid", {}), ("Erf", {}), ("Relu", {})]:
        outs.append(g(op, "x", **more))
    outs.append(g("PRelu", "x", g.constant([0.1, 0.2, 0.3])))
    outs.append(g("Clip", "x", g.constant(-0.5), g.constant(0.7)))
    outs += [g("Softmax", "x"), g("LogSoftmax", "x", axis=1)]
    half = g("Mul", "x", g.constant(0.5))
    outs.append(g("Mul", half, g("Add", g("Erf", g("Div", "x", g.constant(2 ** 0.5))), g.constant(1.0))))
    x = w.numbers(3) * 3
    x[0] = [-100, 0, 100]
    x[1] = [-20, 1e-8, 20]
    return g.model([x_input(3)], [(g("Concat", *outs, axis=1), T.FLOAT, [None, 3 * len(outs)])]), {"x": x}


# ---- operators in groups ----

@case(1e-6)
def elements(w):
    g = Graph(18)
    a, b = "x", g("Abs", "x")
    one = g.constant([1.0, 2.0, 3.0])
    outs = [g("Add", a, one), g("Sub", one, a), g("Mul", a, a), g("Div", a, g.constant(3.0)), g("Pow", b, g.constant(2.0)),
            g("Pow", b, g.constant([0.5, 1.5, -1.0])), g("Sqrt", b), g("Exp", a), g("Log", g("Add", b, one)), g("Neg", a),
            g("Sign", a), g("Floor", a), g("Ceil", a), g("Round", a), g("Reciprocal", g("Add", b, one)), g("Max", a, one, b),
            g("Min", a, one), g("Sum", a, b, one), g("Mean", a, b)]
    less, equal = g("Less", a, g.constant(0.0)), g("Equal", g("Sign", a), g.constant(1.0))
    either = g("Or", g("And", less, g("Not", equal)), g("Xor", g("GreaterOrEqual", a, one), g("LessOrEqual", one, b)))
    outs += [g("Where", g("Greater", a, b), a, one), g("Where", either, one, a), g("Cast", either, to=T.FLOAT),
             g("Cast", g("IsNaN", a), to=T.FLOAT), g("Cast", g("Cast", g("Mul", a, g.constant(10.0)), to=T.INT64), to=T.FLOAT)]
    x = w.numbers(3)
    return g.model([x_input(3)], [(g("Concat", *outs, axis=1), T.FLOAT, [None, 3 * len(outs)])]), {"x": x}


@case(1e-6)
def reductions(w):
    g = Graph(18)
    cube = g("Reshape", "x", g.constant([-1, 2, 3], np.int64))
    outs = []
    for op in ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare",
               "ReduceLogSumExp"]:
        outs.append(g(op, cube, g.constant([1], np.int64), keepdims=0))
        outs.append(g(op, cube, g.constant([1, -1], np.int64), keepdims=0))
    flat = [g("Reshape", o, g.constant([0, -1] if i % 2 == 0 else [-1, 1], np.int64)) for i, o in enumerate(outs)]
    soft = g("Reshape", g("Softmax", cube, axis=1), g.constant([-1, 6], np.int64))
    x = w.numbers(6)
    return g.model([x_input(6)], [(g("Concat", *flat, soft, axis=1), T.FLOAT, [None, 9 * 4 + 6])]), {"x": x}


@case(0)
def shapes(w):
    g = Graph(17)
    cube = g("Reshape", "x", g.constant([0, 2, 3], np.int64))
    turned = g("Transpose", cube, perm=[0, 2, 1])
    n = g("Gather", g("Shape", "x"), g.constant(0, np.int64))
    like = g("Concat", g("Unsqueeze", n, g.constant([0], np.int64)), g.constant([6], np.int64), axis=0)
    two, four = g("Split", "x", g.constant([2, 4], np.int64), outputs=2, axis=1)
    filled = g("ConstantOfShape", like, value=h.make_tensor("v", T.FLOAT, [1], [7.0]))
    outs = [g("Reshape", turned, like), g("Flatten", cube), two, four, filled,
            g("Slice", "x", g.constant([-1], np.int64), g.constant([-7], np.int64), g.constant([1], np.int64), g.constant([-2], np.int64)),
            g("Gather", "x", g.constant([5, -6, 2], np.int64), axis=1), g("Tile", two, g.constant([1, 3], np.int64)),
            g("Squeeze", g("Unsqueeze", "x", g.constant([1], np.int64)), g.constant([1], np.int64)),
            g("Reshape", g("Expand", g("Unsqueeze", two, g.constant([1], np.int64)), g.constant([1, 3, 2], np.int64)), g.constant([-1, 6], np.int64)),
            g("Identity", "x"), g("Dropout", "x"),
            g("Add", "x", g("Constant", value_floats=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))]
    x = w.numbers(6)
    return g.model([x_input(6)], [(g("Concat", *outs, axis=1), T.FLOAT, None)]), {"x": x}


@case(0)
def choices(w):
    g = Graph(17)
    top, at = g("TopK", "x", g.constant([3], np.int64), outputs=2, axis=1)
    low, low_at = g("TopK", "x", g.constant([2], np.int64), outputs=2, axis=1, largest=0)
    picked = g("GatherElements", "x", at, axis=1)
    last = g("ArgMin", "x", axis=1, keepdims=1, select_last_index=1)
    numbers = g("Cast", g("Concat", at, low_at, last, axis=1), to=T.FLOAT)
    scores = g("Concat", top, low, picked, numbers, axis=1)
    best = g("ArgMax", "x", axis=1, keepdims=0)
    label = g.ml_op("ArrayFeatureExtractor", g.constant([10, 20, 30, 40, 50], np.int64), best)
    label = g("Reshape", g("Cast", label, to=T.INT32), g.constant([-1], np.int64))
    x = np.round(w.numbers(5) * 2)
    return g.model([x_input(5)], [(g("Cast", label, to=T.INT64), T.INT64, [None]), (scores, T.FLOAT, [None, 14])]), {"x": x}


@case(1e-6)
def softmax_older(w):
    g = Graph(11)
    cube = g("Reshape", "x", g.constant([-1, 2, 3], np.int64))
    out = g("Reshape", g("Softmax", cube, axis=1), g.constant([-1, 6], np.int64))
    clipped = g("Clip", "x", g.constant(-1.0), g.constant(1.0))
    return g.model([x_input(6)], [(g("Concat", out, clipped, axis=1), T.FLOAT, [None, 12])]), {"x": w.numbers(6)}


@case(1e-6)
def preparing(w):
    g = Graph(17, 2)
    n = w.size(120, 1000)
    filled = g.ml_op("Imputer", "a", imputed_value_floats=[1.0, 2.0], replaced_value_float=float("nan"))
    scaled = g.ml_op("Scaler", filled, offset=[0.5, 1.0], scale=[2.0, 0.25])
    outs = [scaled] + [g.ml_op("Normalizer", scaled, norm=k) for k in ("MAX", "L1", "L2")]
    outs.append(g.ml_op("Binarizer", scaled, threshold=0.1))
    whole = g.ml_op("Imputer", "b", imputed_value_int64s=[9], replaced_value_int64=3)
    hot = g.ml_op("OneHotEncoder", "c", cats_strings=["red", "green", "blue"], zeros=1)
    hot = g("Reshape", hot, g.constant([-1, 3], np.int64))
    codes = g("Reshape", g.ml_op("OneHotEncoder", "b", cats_int64s=[1, 3, 5], zeros=1), g.constant([-1, 3], np.int64))
    number = g.ml_op("LabelEncoder", "c", keys_strings=["red", "green"], values_floats=[0.25, 0.5], default_float=-1.0)
    name = g.ml_op("LabelEncoder", "b", keys_int64s=[0, 1, 2], values_strings=["none", "one", "two"], default_string="many")
    back = g.ml_op("LabelEncoder", name, keys_strings=["many", "one"], values_int64s=[7, 8], default_int64=-3)
    joined = g.ml_op("FeatureVectorizer", g("Cast", whole, to=T.FLOAT), g("Cast", back, to=T.FLOAT), number, inputdimensions=[1, 1, 1])
    picked = g.ml_op("ArrayFeatureExtractor", joined, g.constant([[2, 0]], np.int64))
    scores = g("Concat", *outs, hot, codes, joined, picked, axis=1)
    a = w.numbers(2, n)
    a[w.rng.random(a.shape) < 0.2] = np.nan
    a[0] = [0.5, 1.0]
    feeds = {"a": a, "b": w.rng.integers(0, 6, (n, 1)), "c": w.rng.choice(["red", "green", "blue", "grey"], (n, 1)).astype(object)}
    return g.model([("a", T.FLOAT, [None, 2]), ("b", T.INT64, [None, 1]), ("c", T.STRING, [None, 1])],
                   [(g("Reshape", name, g.constant([-1], np.int64)), T.STRING, [None]), (scores, T.FLOAT, None)]), feeds


@case(1e-6)
def conformance(w):
    """Numbers and a text, for the tests that run every family."""
    g = Graph(17, 1)
    scaled = g.ml_op("Scaler", "numbers", offset=[1.0, -1.0], scale=[0.5, 0.25])
    hot = g("Reshape", g.ml_op("OneHotEncoder", "letter", cats_strings=["a", "c", "e"], zeros=1), g.constant([-1, 3], np.int64))
    rows = w.rng.normal(size=(3, 5))
    g.nodes.append(h.make_node("LinearClassifier", [g("Concat", scaled, hot, axis=1)], ["label", "probabilities"], domain=ML,
                               coefficients=rows.ravel(), intercepts=[0.1, 0.2, 0.3], post_transform="SOFTMAX",
                               classlabels_strings=["x", "y", "z"]))
    letters = w.rng.choice(list("abcdef"), (ROWS, 1)).astype(object)
    return g.model([("numbers", T.FLOAT, [None, 2]), ("letter", T.STRING, [None, 1])],
                   [("label", T.STRING, [None]), ("probabilities", T.FLOAT, [None, 3])]), {"numbers": w.numbers(2, ROWS), "letter": letters}


# ---- trees ----

def random_trees(w, trees, depth, modes, targets, weights_per_leaf=1, features=4, missing=True, first_target=0):
    a = {k: [] for k in ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids", "missing_value_tracks_true")}
    leaf = {k: [] for k in ("treeids", "nodeids", "ids", "weights")}
    for t in range(trees):
        open_nodes, count = [(0, 0)], 1
        while open_nodes:
            node, level = open_nodes.pop(0)
            is_leaf = level >= depth or (level > 0 and w.rng.random() < 0.2)
            yes, no = (0, 0) if is_leaf else (count, count + 1)
            if not is_leaf:
                open_nodes += [(yes, level + 1), (no, level + 1)]
                count += 2
            row = (t, node, 0 if is_leaf else int(w.rng.integers(features)), 0.0 if is_leaf else float(np.float32(np.round(w.rng.normal() * 2) / 2)),
                   "LEAF" if is_leaf else str(w.rng.choice(modes)), yes, no, int(missing and w.rng.random() < 0.5))
            for key, value in zip(a, row):
                a[key].append(value)
            for k in range(weights_per_leaf if is_leaf else 0):
                target = (t + k) % targets + first_target
                for key, value in zip(leaf, (t, node, target, float(np.float32(w.rng.normal())))):
                    leaf[key].append(value)
    return {f"nodes_{k}": v for k, v in a.items()}, leaf


def odd_rows(w, columns=4, dtype=np.float32):
    x = np.round(w.numbers(columns) * 2).astype(dtype) / 2
    x[w.rng.random(x.shape) < 0.1] = np.nan
    x[0], x[1], x[2] = np.inf, -np.inf, -0.0
    return x


ALL_MODES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]


def regressor(w, modes, targets, weights_per_leaf, **more):
    g = Graph(17, 3)
    nodes, leaf = random_trees(w, w.size(5, 60), w.size(3, 7), modes, targets, weights_per_leaf)
    out = g.ml_op("TreeEnsembleRegressor", "x", n_targets=targets, **nodes, **{f"target_{k}": v for k, v in leaf.items()}, **more)
    return g.model([x_input(4)], [(out, T.FLOAT, [None, targets])]), {"x": odd_rows(w)}


@case(0)
def trees_modes(w):
    return regressor(w, ALL_MODES, 1, 1, base_values=[0.1])


@case(0)
def trees_less(w):
    return regressor(w, ALL_MODES[:4], 1, 1, base_values=[0.1])


@case(0)
def trees_targets(w):
    return regressor(w, ALL_MODES[:4], 3, 2, base_values=[0.1, 0.2, 0.3])


@case(1e-6)
def trees_average(w):
    return regressor(w, ["BRANCH_LEQ"], 2, 2, aggregate_function="AVERAGE", post_transform="SOFTMAX")


@case(0)
def trees_min(w):
    return regressor(w, ["BRANCH_LEQ"], 2, 2, aggregate_function="MIN")


@case(0)
def trees_max(w):
    return regressor(w, ["BRANCH_LT"], 1, 1, aggregate_function="MAX")


def classifier(w, classes, weights_per_leaf, positive, first=0, **more):
    g = Graph(17, 3)
    nodes, leaf = random_trees(w, w.size(5, 60), w.size(3, 7), ["BRANCH_LEQ"], classes if first == 0 and weights_per_leaf != 0 else 1,
                               max(weights_per_leaf, 1), first_target=first)
    if positive:
        leaf["weights"] = [abs(v) / 5 for v in leaf["weights"]]
    g.nodes.append(h.make_node("TreeEnsembleClassifier", ["x"], ["label", "scores"], domain=ML, classlabels_strings=["a", "b", "c", "d"][:more.pop("labels")],
                               **nodes, **{f"class_{k}": v for k, v in leaf.items()}, **more))
    return g.model([x_input(4)], [("label", T.STRING, [None]), ("scores", T.FLOAT, None)]), {"x": odd_rows(w)}


@case(1e-6)
def classes_four_softmax(w):
    return classifier(w, 4, 2, False, labels=4, post_transform="SOFTMAX", base_values=[0.1, 0.2, 0.3, 0.4])


@case(1e-6)
def classes_four_zero(w):
    return classifier(w, 4, 1, False, labels=4, post_transform="SOFTMAX_ZERO")


@case(0)
def classes_two_shares(w):
    return classifier(w, 1, 0, True, labels=2)


@case(0)
def classes_two_sums(w):
    return classifier(w, 1, 0, False, labels=2)


@case(1e-6)
def classes_two_logistic(w):
    return classifier(w, 1, 0, False, labels=2, post_transform="LOGISTIC", base_values=[0.2])


@case(0)
def classes_two_both(w):
    return classifier(w, 2, 2, False, labels=2)


@case(0)
def trees_double(w):
    g = Graph(17, 3)
    nodes, leaf = random_trees(w, w.size(5, 60), w.size(3, 7), ["BRANCH_LEQ"], 2, 2)
    values = nodes.pop("nodes_values")
    weights = leaf.pop("weights")
    out = g.ml_op("TreeEnsembleRegressor", "x", n_targets=2, **nodes, **{f"target_{k}": v for k, v in leaf.items()},
                  nodes_values_as_tensor=h.make_tensor("v", T.DOUBLE, [len(values)], np.array(values) + 1e-9),
                  target_weights_as_tensor=h.make_tensor("w", T.DOUBLE, [len(weights)], np.array(weights) / 3))
    return g.model([x_input(4, T.DOUBLE)], [(out, T.FLOAT, [None, 2])]), {"x": odd_rows(w, dtype=np.float64)}


def tree_ensemble(w, t, dtype, member, aggregate):
    g = Graph(17, 5)
    tensor = {np.float32: T.FLOAT, np.float64: T.DOUBLE}[dtype]
    a = {k: [] for k in ("featureids", "truenodeids", "falsenodeids", "trueleafs", "falseleafs", "missing_value_tracks_true")}
    splits, modes, sets, roots, targets, weights = [], [], [], [], [], []

    def leaf():
        targets.append(int(w.rng.integers(2)))
        weights.append(w.rng.normal())
        return len(targets) - 1, 1

    def node(level):
        at = len(splits)
        is_set = member and w.rng.random() < 0.4
        splits.append(0.0 if is_set else np.round(w.rng.normal() * 2) / 2)
        modes.append(6 if is_set else int(w.rng.integers(4)))
        for k in a:
            a[k].append(0)
        a["featureids"][at] = int(w.rng.integers(4))
        a["missing_value_tracks_true"][at] = int(w.rng.random() < 0.3)
        if is_set:
            sets.extend([1.0, 2.0, 4.0, float("nan")])
        for side in ("true", "false"):
            child, kind = (node(level + 1), 0) if level < t else leaf()
            a[f"{side}nodeids"][at], a[f"{side}leafs"][at] = child, kind
        return at

    for _ in range(3):
        roots.append(node(0))
    more = {"membership_values": h.make_tensor("m", tensor, [len(sets)], sets)} if sets else {}
    out = g.ml_op("TreeEnsemble", "x", n_targets=2, aggregate_function=aggregate, post_transform=0, tree_roots=roots, leaf_targetids=targets,
                  leaf_weights=h.make_tensor("w", tensor, [len(weights)], np.array(weights, dtype)),
                  nodes_splits=h.make_tensor("s", tensor, [len(splits)], np.array(splits, dtype)),
                  nodes_modes=h.make_tensor("k", T.UINT8, [len(modes)], np.array(modes, np.uint8)),
                  **{f"nodes_{k}": v for k, v in a.items()}, **more)
    return g.model([x_input(4, tensor)], [(out, tensor, [None, 2])]), {"x": odd_rows(w, dtype=dtype)}


@case(0)
def ensemble5(w):
    return tree_ensemble(w, w.size(2, 5), np.float32, False, 1)


@case(0)
def ensemble5_sets(w):
    return tree_ensemble(w, w.size(2, 5), np.float32, True, 1)


@case(1e-15)
def ensemble5_double(w):
    return tree_ensemble(w, w.size(2, 5), np.float64, False, 0)


def linear_two(w, transform, ints):
    g = Graph(17, 1)
    labels = {"classlabels_ints": [3, 8]} if ints else {"classlabels_strings": ["no", "yes"]}
    g.nodes.append(h.make_node("LinearClassifier", ["x"], ["label", "scores"], domain=ML, coefficients=[0.5, -1.0, 0.25], intercepts=[0.1],
                               post_transform=transform, **labels))
    return g.model([x_input(3)], [("label", T.INT64 if ints else T.STRING, [None]), ("scores", T.FLOAT, None)]), {"x": w.numbers(3)}


@case(1e-6)
def linear_one_sum(w):
    return linear_two(w, "NONE", True)


@case(1e-6)
def linear_one_logistic(w):
    return linear_two(w, "LOGISTIC", False)


# ---- writing ----

def cell(v):
    if isinstance(v, (str, np.str_)):
        return str(v)
    if isinstance(v, (float, np.floating)) and np.isnan(v):
        return ""
    return repr(v.item() if hasattr(v, "item") else v) if not isinstance(v, np.float32) else np.format_float_scientific(v, unique=True, trim="-")


def scored(path, feeds):
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(path, options)
    label, scores = None, []
    for out in session.run(None, feeds):
        if isinstance(out, list) and isinstance(out[0], dict):
            out = np.array([[row[k] for k in row] for row in out], np.float32)
        out = np.asarray(out)
        rows = len(next(iter(feeds.values())))
        if label is None and out.size == rows and out.dtype.kind in "OUi":
            label = out.reshape(rows)
        else:
            scores.append(out.reshape(rows, -1))
    return label, scores


def write(folder, name, tolerance, made, feeds, rows):
    os.makedirs(os.path.join(folder, name), exist_ok=True)
    path = os.path.join(folder, name, "model.onnx")
    made.doc_string = ""
    with open(path, "wb") as out:
        out.write(made.SerializeToString())
    feeds = {k: v[:rows] for k, v in feeds.items()}
    label, scores = scored(path, feeds)
    with open(os.path.join(folder, name, "rows.csv"), "w") as out:
        out.write(f"{tolerance},{int(label is not None)},{sum(s.shape[1] for s in scores)}\n")
        for r in range(rows):
            cells = [cell(v) for k in feeds for v in feeds[k][r]]
            cells += [cell(label[r])] if label is not None else []
            out.write(",".join(cells + [cell(v) for s in scores for v in s[r]]) + "\n")


def main(folder, large, seed):
    ort.set_default_logger_severity(3)
    for name, (tolerance, make) in CASES.items():
        world = World(seed, large)
        try:
            made, feeds = make(world)
            write(folder, name, tolerance, made, feeds, len(next(iter(feeds.values()))) if large else ROWS)
        except Exception as reason:  # one model that this scikit-learn cannot convert stops no other
            print(f"{name}: {type(reason).__name__}: {str(reason)[:300]}", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1], len(sys.argv) > 2, int(sys.argv[3]) if len(sys.argv) > 3 else 1)
