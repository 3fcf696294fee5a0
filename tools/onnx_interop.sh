#!/usr/bin/env bash
# Larger models than the tree holds, made anew by skl2onnx and scored by ONNX Runtime and by us; needs PyPI, else says so.
#   tools/onnx_interop.sh [SEED ...]
set -uo pipefail
cd "$(dirname "$0")/.."
venv=build/interop/venv
mkdir -p build/interop
[ -x "$venv/bin/python" ] || python3 -m venv "$venv" || exit 0
if ! "$venv/bin/pip" install -q numpy pandas onnx onnxruntime scikit-learn skl2onnx >build/interop/pip.log 2>&1; then
    echo "interop with ONNX Runtime is skipped: its packages could not be installed from PyPI"
    exit 0
fi
make --no-print-directory -j"$(nproc)" MODE=release build/release/unit-test || exit 1
for seed in "${@:-1}"; do
    rm -rf build/interop/models
    "$venv/bin/python" test/make_onnx_models.py build/interop/models soak "$seed" || exit 1
    MILLRACE_ONNX_MODELS=build/interop/models build/release/unit-test onnx.scores_as_onnx_runtime || exit 1
done
