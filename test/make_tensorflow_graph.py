#!/usr/bin/env python3
"""Writes FOLDER/{dense.pb,rows.csv}: a frozen graph of a dense net, field by field, so that TensorFlow is not needed, and
rows with the probabilities and the class that NumPy computes in float32.

    pip install numpy && python3 test/make_tensorflow_graph.py test/tensorflow
"""
import os
import sys

import numpy as np


def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def field(number, content):
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    content = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(content)) + content


def shape(*sizes):
    return b"".join(field(2, field(1, s & (1 << 64) - 1)) for s in sizes)


def attribute(name, value):
    return field(5, field(1, name) + field(2, value))


def node(name, op, *inputs, attributes=b""):
    return field(1, field(1, name) + field(2, op) + b"".join(field(3, i) for i in inputs) + attributes)


def constant(name, value):
    kind = {"f": 1, "i": 3}[value.dtype.kind]
    tensor = field(1, kind) + field(2, shape(*value.shape)) + field(4, value.tobytes())
    return node(name, "Const", attributes=attribute("dtype", field(6, kind)) + attribute("value", field(8, tensor)))


def main(folder):
    rng = np.random.default_rng(2)
    a, b = (rng.normal(size=s).astype(np.float32) for s in ((3, 6), (6, 2)))
    bias_a, bias_b = (rng.normal(size=s).astype(np.float32) for s in (6, 2))
    wanted = attribute("dtype", field(6, 1)) + attribute("shape", field(7, shape(-1, 3)))
    graph = (
        node("net/soft", "Softmax", "net/b/add", "^init")  # nodes may come in any order
        + node("net/x", "Placeholder", attributes=wanted) + constant("net/a/kernel", a) + constant("net/a/bias", bias_a)
        + node("net/a/read", "Identity", "net/a/kernel") + node("net/a/product", "MatMul", "net/x:0", "net/a/read")
        + node("net/a/sum", "BiasAdd", "net/a/product", "net/a/bias") + node("net/a/relu", "Relu6", "net/a/sum")
        + constant("net/b/kernel", np.ascontiguousarray(b.T)) + constant("net/b/bias", bias_b)
        + node("net/b/product", "MatMul", "net/a/relu", "net/b/kernel", attributes=attribute("transpose_b", field(5, 1)))
        + node("net/b/add", "AddV2", "net/b/product", "net/b/bias") + node("init", "NoOp")
        + constant("axis", np.array(1, np.int32)) + node("net/class", "ArgMax", "net/b/add", "axis"))
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "dense.pb"), "wb") as out:
        out.write(graph)
    x = rng.normal(size=(40, 3)).astype(np.float32) * 3
    z = np.clip(x @ a + bias_a, 0, 6) @ b + bias_b
    e = np.exp(z - z.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    with open(os.path.join(folder, "rows.csv"), "w") as out:
        for row in range(len(x)):
            cells = [np.format_float_scientific(v, unique=True, trim="-") for v in (*x[row], *p[row])]
            out.write(",".join(cells + [str(z[row].argmax())]) + "\n")


main(sys.argv[1])
