#!/usr/bin/env bash
# Builds every src/*/X_fuzz.c with libFuzzer and runs each for some seconds, starting from test/corpus/X.
#   tools/fuzz.sh [SECONDS_EACH [X ...]]
# What is new goes to build/fuzz/corpus/X; an input that breaks something is build/fuzz/X-crash-*. Copy it to
# test/corpus/X and `make test` replays it for ever.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds_each=${1:-60}
[ $# -gt 0 ] && shift

make --no-print-directory -j"$(nproc)" MODE=fuzz CC=clang-14 fuzzers
failed=0
for binary in build/fuzz/fuzz-*; do
    name=${binary##*/fuzz-}
    [ $# -gt 0 ] && [[ " $* " != *" $name "* ]] && continue
    seeds=()
    [ -d "test/corpus/$name" ] && seeds=("test/corpus/$name")
    mkdir -p "build/fuzz/corpus/$name"
    echo "== $name, $seconds_each s"
    if ! "$binary" -max_total_time="$seconds_each" -timeout=20 -rss_limit_mb=2048 -print_final_stats=0 -verbosity=0 \
        -artifact_prefix="build/fuzz/$name-" "build/fuzz/corpus/$name" "${seeds[@]}"; then
        echo "FAILED $name: see build/fuzz/$name-crash-*"
        failed=$((failed + 1))
    fi
done
echo "$failed failed"
[ "$failed" = 0 ]
