#!/usr/bin/env bash
# The unit tests of what takes foreign bytes and of what computes, under valgrind's memcheck: nothing that comes out may
# depend on memory that nobody wrote. (Clang's MemorySanitizer would want every library built with it.)
#   tools/memcheck.sh [ROOM ...]
set -uo pipefail
cd "$(dirname "$0")/.."
rooms=("$@")
# Left out: rooms with threads and real processes, which say nothing new here and take hours; and `expr`, because the
# code that PCRE2 compiles reads whole vectors behind the end of a text, as its makers say, and cannot be told apart.
[ ${#rooms[@]} = 0 ] && rooms=(base64 utf8 hash time number notice status arena buffer bytes reader memory arrow batch
    schema input decoder_hostile decoder decoder_property json_scan metrics artifact slot heap table tile exact
    aggregate plan model tree behaviour)
make --no-print-directory -j"$(nproc)" MODE=debug build/debug/unit-test || exit 1
failed=0
for room in "${rooms[@]}"; do
    if output=$(valgrind -q --error-exitcode=99 --leak-check=no --max-stackframe=8000000 build/debug/unit-test "$room" 2>&1); then
        echo "ok   $room"
    else
        failed=$((failed + 1))
        printf '%s\n' "$output"
        echo "FAIL $room"
    fi
done
echo "$failed failed"
[ "$failed" = 0 ]
