#!/usr/bin/env bash
# Crash and simulation tests without end: new seeds every round, until something fails or ^C.
#   tools/soak.sh [ROUNDS]     first the unit tests under memcheck and other makers' models; then each round: 500 kills of real processes,
#                              5,000 simulated worlds, the log's crash tests
# What failed is named with its seed, which runs it again: MILLRACE_SEED=N.
set -uo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-0}
for mode in release asan; do
    make --no-print-directory -j"$(nproc)" MODE=$mode all "build/$mode/unit-test" || exit 1
done
tools/memcheck.sh || exit 1
tools/onnx_interop.sh || exit 1
seed=${MILLRACE_SEED:-$(date +%s)}
round=0
while [ "$rounds" = 0 ] || [ "$round" -lt "$rounds" ]; do
    round=$((round + 1))
    printf 'round %s, seed %s, %s\n' "$round" "$seed" "$(date -u +%FT%TZ)"
    MILLRACE_SEED=$seed MILLRACE_SIM_WORLDS=5000 build/release/unit-test world || exit 1
    MILLRACE_SEED=$seed MILLRACE_TEST_EFFORT=4 build/asan/unit-test log_crash checkpoint spill one_answer emit || exit 1
    MILLRACE_SEED=$seed MILLRACE_KILLS=500 python3 test/kill.py || exit 1
    seed=$((seed + 5000))
done
