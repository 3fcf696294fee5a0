#!/usr/bin/env bash
# Runs the tests and ends with one line: N passed, N failed, N skipped.
#   tools/test.sh              everything
#   tools/test.sh room[.name]  some unit tests, with ASan and UBSan
#   GOLDEN=update tools/test.sh    rewrites the expected output of test/golden
# Whole outputs are kept in build/test/*.log; what is shown is what went wrong.
set -uo pipefail
cd "$(dirname "$0")/.."
root=$PWD
logs=$root/build/test
scratch=$(mktemp -d "${TMPDIR:-/tmp}/millrace-test-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$logs"
passed=0 failed=0 skipped=0

# Rooms with threads in them, run under ThreadSanitizer; those that do not exist yet are left out.
threaded_rooms="thread shap fs_sim notice log log_thread state checkpoint pipeline run score serve"
script_seconds_max=${MILLRACE_SCRIPT_SECONDS_MAX:-1800}

say() { printf '%s\n' "$*"; }

fail() {
    failed=$((failed + 1))
    say "FAILED $*"
}

build() { # mode target
    make --no-print-directory -j"$(nproc)" MODE="$1" "$2" >"$logs/build-$1.log" 2>&1 && return 0
    cat "$logs/build-$1.log"
    fail "build of $2 (MODE=$1)"
    return 1
}

# Runs a command that ends with the summary line, and adds it up. One that dies without counts as one failure.
run_counted() { # name command...
    local name=$1 log=$logs/$1.log result line
    shift
    "$@" >"$log" 2>&1 </dev/null
    result=$?
    grep -avE '^(1\.\.[0-9]+|ok |# ok )' "$log" | grep -avE '^[0-9]+ passed, ' || true
    line=$(tail -n 1 "$log")
    if [[ $line =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed(,\ ([0-9]+)\ skipped)?$ ]]; then
        passed=$((passed + BASH_REMATCH[1]))
        failed=$((failed + BASH_REMATCH[2]))
        skipped=$((skipped + ${BASH_REMATCH[4]:-0}))
        say "$name: $line"
        [ "$result" = 0 ] || [ "${BASH_REMATCH[2]}" != 0 ] || fail "$name: exit code $result"
    else
        fail "$name: ended without a summary, exit code $result; see ${log#"$root"/}"
    fi
}

finish() {
    say "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" = 0 ]
    exit
}

run_threaded() {
    local room rooms=()
    for room in $threaded_rooms; do
        grep -qE "^TEST\($room," src/*/*_test.c test/*.c 2>/dev/null && rooms+=("$room")
    done
    [ ${#rooms[@]} = 0 ] && return
    build tsan build/tsan/unit-test &&
        TSAN_OPTIONS=halt_on_error=1 run_counted threads build/tsan/unit-test "${rooms[@]}"
}

# One golden test: its output, and its exit code when that is not 0, against the file beside it.
run_golden() { # script
    local script=$1 name expected got folder result
    name=$(basename "$script" .sh)
    expected=${script%.sh}.out
    got=$logs/golden-$name.out
    folder=$scratch/golden-$name
    mkdir -p "$folder"
    (cd "$folder" && PATH=$root/build/release:$PATH MILLRACE_HOME=$folder/home MILLRACE_ROOT=$root LC_ALL=C TZ=UTC \
        timeout "$script_seconds_max" "$root/$script" >"$got" 2>"$logs/golden-$name.err" </dev/null)
    result=$?
    [ "$result" = 0 ] || say "[exit $result]" >>"$got"
    if [ "${GOLDEN:-}" = update ]; then
        cp "$got" "$expected"
    elif ! diff -u "$expected" "$got"; then
        cat "$logs/golden-$name.err"
        fail "$script (GOLDEN=update accepts what it prints now)"
        return
    fi
    passed=$((passed + 1))
}

if [ $# -gt 0 ]; then
    build asan build/asan/unit-test && run_counted unit build/asan/unit-test "$@"
    finish
fi

build release all
build asan build/asan/unit-test && run_counted unit build/asan/unit-test
run_threaded
for script in test/golden/*.sh; do
    [ -x "$script" ] && run_golden "$script"
done
for script in test/*.py test/*.sh; do
    [ -x "$script" ] || continue
    mkdir -p "$scratch/$(basename "$script")"
    PATH=$root/build/release:$PATH MILLRACE_ROOT=$root TMPDIR=$scratch/$(basename "$script") \
        run_counted "$(basename "$script")" timeout "$script_seconds_max" "$script"
done
finish
