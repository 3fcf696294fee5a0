#!/usr/bin/env python3
"""Trains models with scikit-learn, writes them as ONNX with rows of float32, and times ONNX Runtime on them, one thread.

    python3 bench/peers/onnx_models.py FOLDER              # JSON lines {"name", "value", "unit"}; leaves NAME.onnx and rows.f32
    MILLRACE_BENCH_ONNX=FOLDER build/release/benchmark onnx

One row goes through a prepared binding (run_with_iobinding), the cheapest call the package has; it is a call from Python all the
same. pip install onnx onnxruntime skl2onnx scikit-learn numpy
"""
import json
import os
import sys
import time
import warnings

import numpy as np
import onnxruntime as ort
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

warnings.filterwarnings("ignore")
ROWS, FEATURES, ONES = 4096, 11, 500


def net(rng):
    """What torch.onnx.export writes of Linear 11-64, ReLU, Linear 64-32, ReLU, Linear 32-1, Sigmoid."""
    sizes, nodes, weights, at = [FEATURES, 64, 32, 1], [], [], "X"
    for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
        weights += [numpy_helper.from_array((rng.normal(size=(b, a)) / a**0.5).astype(np.float32), f"w{i}"),
                    numpy_helper.from_array(rng.normal(size=b).astype(np.float32), f"b{i}")]
        nodes.append(h.make_node("Gemm", [at, f"w{i}", f"b{i}"], [f"g{i}"], transB=1))
        nodes.append(h.make_node("Relu" if i < 2 else "Sigmoid", [f"g{i}"], [f"a{i}"]))
        at = f"a{i}"
    graph = h.make_graph(nodes, "net", [h.make_tensor_value_info("X", T.FLOAT, [None, FEATURES])],
                         [h.make_tensor_value_info(at, T.FLOAT, [None, 1])], weights)
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)


def best_ns(body, seconds=1.5):
    body()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter_ns()
        body()
        best = min(best, time.perf_counter_ns() - start)
    return best


def bound(session, rows):
    binding = session.io_binding()
    binding.bind_cpu_input("X", rows)
    for output in session.get_outputs():
        binding.bind_output(output.name)
    return binding


def report(name, what, value, unit):
    print(json.dumps({"name": f"onnx.{name}.{what}.onnxruntime", "value": float(f"{value:.6g}"), "unit": unit}), flush=True)


def main(folder):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(20000, FEATURES)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] + x[:, 2] + rng.normal(size=len(x)) / 2 > 0).astype(int)
    plain = {"zipmap": False}
    models = {
        "logistic": to_onnx(LogisticRegression().fit(x, y), x[:1], options=plain),
        "forest": to_onnx(RandomForestClassifier(100, max_depth=8, random_state=1).fit(x, y), x[:1], options=plain),
        "net": net(rng)}
    rows = np.ascontiguousarray(x[:ROWS])
    rows.tofile(os.path.join(folder, "rows.f32"))
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    for name, model in models.items():
        content = model.SerializeToString()
        with open(os.path.join(folder, f"{name}.onnx"), "wb") as out:
            out.write(content)
        session = ort.InferenceSession(content, options)
        batch, ones = bound(session, rows), [bound(session, rows[i : i + 1]) for i in range(ONES)]
        report(name, "batch", best_ns(lambda: session.run_with_iobinding(batch)) / ROWS, "ns/row")
        report(name, "one_row", best_ns(lambda: [session.run_with_iobinding(one) for one in ones]) / ONES, "ns")
        outputs = [o.name for o in session.get_outputs()][-1:]
        session.run(outputs, {"X": rows})[0].reshape(ROWS, -1)[:, -1].astype(np.float32).tofile(os.path.join(folder, f"{name}.f32"))


if __name__ == "__main__":
    main(sys.argv[1])
