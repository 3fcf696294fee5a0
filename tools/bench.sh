#!/usr/bin/env bash
# Measures Millrace beside its peers and writes docs/benchmarks.md.
#   tools/bench.sh             everything
#   tools/bench.sh GROUP ...   these groups only; the other figures of the page stay as they were measured
# Groups: machine json csv expr log views state scale trees families reasons pipeline latency swap restart start
# Each group is one run: ours and the peers' figures one after the other, JSON lines in build/bench/results/GROUP.jsonl,
# all of them together in build/bench/results.jsonl. What cannot be measured is a line that says why.
set -uo pipefail
cd "$(dirname "$0")/.."
groups="machine json csv expr log views state scale trees families reasons pipeline latency swap restart start"
work=build/bench
venv=$work/venv
benchmark=build/release/benchmark
millrace=build/release/millrace
mkdir -p "$work/results" "$work/log"
[ $# -gt 0 ] && groups=$*

note() { printf '%s\n' "$*" >&2; }
skip() { printf '{"name": "%s", "skipped": "%s"}\n' "$1" "$2"; note "  skipped: $1: $2"; }

# Runs one thing; its JSON lines are results (some peers chatter between them), its stderr is kept. One that fails says
# so among the results.
measure() { # name command...
    local name=$1 log=$work/log/${1//\//-}.log
    shift
    note "  $name"
    "$@" 2>"$log" | grep '^{'
    if [ "${PIPESTATUS[0]}" != 0 ]; then
        tail -n 3 "$log" >&2
        skip "$name" "it failed: $(tail -n 1 "$log" | tr -d '"\\' | cut -c 1-200)"
    fi
}

# A command on the last processor alone, where that can be asked for.
one_core() {
    if command -v taskset >/dev/null; then
        taskset -c "$(($(nproc) - 1))" "$@"
    else
        "$@"
    fi
}

# ---- peers: what installs is measured, what does not is said ----

have_venv() {
    [ -x "$venv/bin/pip" ] || python3 -m venv "$venv" >"$work/log/venv.log" 2>&1
}

# Installs from PyPI what is missing. Each on its own: one that fails takes no other with it.
have_pypi() { # package...
    local package
    have_venv || return 1
    for package in "$@"; do
        "$venv/bin/pip" show -q "$package" >/dev/null 2>&1 ||
            timeout 300 "$venv/bin/pip" install -q "$package" >"$work/log/pip-$package.log" 2>&1 || return 1
    done
}

have_java() {
    command -v mvn >/dev/null && command -v javac >/dev/null && return 0
    tools/setup.sh peers >"$work/log/setup-peers.log" 2>&1 && command -v mvn >/dev/null
}

peer_simdjson() {
    g++ -std=c++17 -O3 -march=native -I. bench/peers/simdjson_columns.cpp -o "$work/simdjson_columns" -lsimdjson &&
        "$work/simdjson_columns"
}

# The payments the peers are given, as CSV, and some of our decisions: windows are full by then.
write_peer_files() {
    local model=${MILLRACE_DATA:-../shared/data}/cards/xgb_model.json
    [ -f "$model" ] && [ -d "$work/home" ] || return 1
    cp -f "$model" "$work/model.json" &&
        "$millrace" consume payments --home "$work/home" --quiet >"$work/payments.csv" &&
        "$millrace" consume decisions --home "$work/home" --quiet --from offset=400000 --max 50000 >"$work/decisions.csv"
}

# FastTreeSHAP is of 2021 and wants packages of its time: a venv of its own.
have_explainers() {
    local venv=$work/venv-reasons log=$work/log/pip-reasons.log
    [ -x "$venv/bin/pip" ] || python3 -m venv "$venv" >"$log" 2>&1 || return 1
    "$venv/bin/pip" show -q fasttreeshap shap xgboost >/dev/null 2>&1 && return 0
    timeout 600 "$venv/bin/pip" install -q 'numpy<1.24' xgboost==1.7.6 'scipy<1.12' 'numba<0.59' pandas 'scikit-learn<1.4' \
        'setuptools<70' tqdm packaging slicer cloudpickle psutil cython wheel >>"$log" 2>&1 || return 1
    timeout 300 "$venv/bin/pip" install -q --no-build-isolation --no-deps fasttreeshap==0.1.6 >>"$log" 2>&1 ||
        note "  fasttreeshap could not be installed from PyPI"
    timeout 300 "$venv/bin/pip" install -q --no-deps 'shap<0.42' >>"$log" 2>&1 || note "  shap could not be installed from PyPI"
}

peer_river() {
    have_pypi river xgboost || { skip pipeline.one_core.river "river or xgboost could not be installed from PyPI"; return; }
    measure pipeline.one_core.river one_core "$venv/bin/python" bench/peers/river_cards.py \
        "$work/payments.csv" "$work/model.json" "$work/decisions.csv"
}

peer_flink() {
    local folder=$work/flink
    have_java || { skip pipeline.one_core.flink "no JDK and Maven"; return; }
    note "  building bench/peers/flink"
    mvn -q -B -f bench/peers/flink/pom.xml -DbuildDirectory="$PWD/$folder" package >"$work/log/flink-build.log" 2>&1 ||
        { skip pipeline.one_core.flink "Flink could not be fetched from Maven Central or built"; return; }
    # Enough payments for the windows to be full and the JIT to be done; RocksDB is slower by an order.
    measure pipeline.one_core.flink.heap one_core bench/peers/flink/run.sh "$folder" "$work" heap 2000000
    measure pipeline.one_core.flink.rocksdb one_core bench/peers/flink/run.sh "$folder" "$work" rocksdb 500000
}

# ---- groups ----

group_machine() { measure machine python3 bench/machine.py "$work"; }
group_json() {
    measure json "$benchmark" json
    measure json.simdjson peer_simdjson
}
group_csv() {
    measure csv "$benchmark" csv
    measure encode "$benchmark" encode
}
group_expr() { measure expr "$benchmark" expr; }
group_log() { measure log "$benchmark" log; }
group_views() { measure views "$benchmark" views; }
group_state() {
    measure state "$benchmark" state
    measure state_spill "$benchmark" state_spill
    measure state_pauses "$benchmark" state_pauses
}
group_scale() { measure scale "$benchmark" pipeline_scale; }
group_trees() {
    mkdir -p "$work/models"
    measure trees env MILLRACE_BENCH_KEEP="$work/models" "$benchmark" trees
    local package
    for package in numpy xgboost lightgbm onnxruntime onnxmltools treelite tl2cgen; do
        have_pypi "$package" || note "  $package could not be installed from PyPI"
    done
    if [ -x "$venv/bin/python" ] && [ -f "$work/models/500x8.json" ]; then
        measure trees.pypi one_core "$venv/bin/python" bench/peers/trees.py "$work/models"
    else
        skip trees.pypi "there is no Python venv"
    fi
}
group_reasons() {
    mkdir -p "$work/models-reasons"
    measure reasons env MILLRACE_BENCH_KEEP="$work/models-reasons" "$benchmark" reasons
    if have_explainers && [ -f "$work/models-reasons/500x8.json" ]; then
        measure reasons.pypi one_core "$work/venv-reasons/bin/python" bench/peers/reasons.py "$work/models-reasons"
    else
        skip reasons.pypi "there is no Python venv, or XGBoost could not be installed from PyPI"
    fi
}
# A family each: its models are made, ours and its own runtime measured, then other engines on the same files.
families_lightgbm() {
    local folder=$work/families/lightgbm package
    mkdir -p "$folder"
    for package in numpy lightgbm treelite tl2cgen; do
        have_pypi "$package" || note "  $package could not be installed from PyPI"
    done
    if [ -x "$venv/bin/python" ] && "$venv/bin/python" bench/peers/lightgbm_models.py train "$folder" >"$work/log/lightgbm-train.log" 2>&1; then
        measure families.lightgbm one_core env MILLRACE_BENCH_LIGHTGBM="$folder" "$benchmark" lightgbm
        measure families.lightgbm.peers one_core "$venv/bin/python" bench/peers/lightgbm_models.py measure "$folder"
    else
        skip families.lightgbm "no model could be trained: $(tail -n 1 "$work/log/lightgbm-train.log" 2>/dev/null | tr -d '"\\' | cut -c 1-150)"
    fi
}
families_onnx() {
    mkdir -p "$work/families/onnx"
    local package ok=1
    for package in numpy onnx onnxruntime scikit-learn skl2onnx; do
        have_pypi "$package" || ok=0
    done
    if [ $ok = 1 ]; then
        measure families.onnx.peers one_core "$venv/bin/python" bench/peers/onnx_models.py "$work/families/onnx"
        measure families.onnx env MILLRACE_BENCH_ONNX="$work/families/onnx" "$benchmark" onnx
    else
        skip families.onnx "onnxruntime, skl2onnx or scikit-learn could not be installed from PyPI"
    fi
}
families_pmml() {
    local data=${MILLRACE_DATA:-../shared/data}/wine jars
    measure families.pmml "$benchmark" pmml
    have_java && have_pypi jpmml_evaluator || { skip families.pmml.jpmml "no JDK or no jpmml_evaluator"; return; }
    jars=$("$venv/bin/python" -c 'import jpmml_evaluator, os; print(os.path.dirname(jpmml_evaluator.__file__))')/dependencies
    measure families.pmml.jpmml one_core java -cp "$jars/*" bench/peers/JpmmlRows.java "$data"
}
group_families() {
    families_lightgbm
    families_onnx
    families_pmml
}
group_pipeline() {
    measure pipeline.topic "$benchmark" pipeline_topic
    measure pipeline.jsonl "$benchmark" pipeline_json
    measure pipeline.one_core.ours one_core "$benchmark" pipeline_peer
    if write_peer_files; then
        peer_flink
        peer_river
    else
        skip pipeline.one_core.flink "there is no model (MILLRACE_DATA)"
        skip pipeline.one_core.river "there is no model (MILLRACE_DATA)"
    fi
}
group_latency() { measure latency "$benchmark" latency; }
group_swap() { measure swap "$benchmark" swap; }
group_restart() { measure restart "$benchmark" pipeline_restart; }
group_start() { measure start python3 bench/start.py "$millrace" "$work"; }

make --no-print-directory -j"$(nproc)" MODE=release all build/release/benchmark || exit 1
for group in $groups; do
    if ! declare -F "group_$group" >/dev/null; then
        note "there is no group $group; there are: $(declare -F | sed -n 's/.*group_//p' | tr '\n' ' ')"
        exit 2
    fi
    note "$group"
    started=$SECONDS
    {
        printf '{"group": "%s", "at": "%s", "load": "%s"}\n' "$group" "$(date -u +%FT%TZ)" "$(cut -d ' ' -f 1 /proc/loadavg)"
        "group_$group"
        printf '{"group": "%s", "seconds": %d}\n' "$group" $((SECONDS - started))
    } >"$work/results/$group.jsonl.new"
    mv "$work/results/$group.jsonl.new" "$work/results/$group.jsonl"
done
rm -rf "$work/home"
cat "$work"/results/*.jsonl >"$work/results.jsonl"
python3 tools/bench_report.py "$work/results.jsonl" bench/bounds.md >"$work/benchmarks.md" || exit 1
cp "$work/benchmarks.md" docs/benchmarks.md
note "written: docs/benchmarks.md"
