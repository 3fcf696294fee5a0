#!/usr/bin/env bash
# Floors, doors, formatting, clang-tidy, cppcheck. Names what fails; the exit code says whether anything did.
#   tools/tidy.sh [file ...]    default: all sources
set -uo pipefail
cd "$(dirname "$0")/.."
files=("$@")
[ ${#files[@]} = 0 ] && mapfile -t files < <(ls src/*/*.[ch] test/*.[ch] sim/*.[ch] bench/*.[ch] include/*/*.h 2>/dev/null)
failed=0

step() { # name command...: prints the output of what fails
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then
        echo "ok   $name"
    else
        failed=1
        printf '%s\n' "$output"
        echo "FAIL $name"
    fi
}

is_test() { [[ $1 == *_test.[ch] || $1 == *_oracle.h || $1 == *_fuzz.[ch] || $1 == *_bench.[ch] || $1 != src/* ]]; }

product() { # the sources that are no tests
    local file
    for file in "${files[@]}"; do is_test "$file" || printf '%s\n' "$file"; done
}

# An arrow from a floor to one that stands behind it in src/FLOORS climbs.
check_floors() {
    product | xargs -r awk '
        BEGIN { while ((getline line < "src/FLOORS") > 0) if (line ~ /^[a-z]/) rank[line] = ++n }
        FNR == 1 { split(FILENAME, part, "/"); own = part[2]
                   if (!(own in rank)) { print FILENAME ": floor " own " is not in src/FLOORS"; bad = 1 } }
        /^#include "/ { split($2, part, "[\"/]"); floor = part[2]
            if (floor in rank && rank[floor] > rank[own]) {
                print FILENAME ":" FNR ": " own "/ may not use " floor "/ above it: " $2; bad = 1 }
            if (!(floor in rank) && floor != "millrace") {
                print FILENAME ":" FNR ": included by its path from src/, please: " $2; bad = 1 } }
        END { exit bad }'
}

# Only os/ talks to the machine, only base/ asks for memory.
check_doors() {
    local bad=0
    product | grep -v '^src/os/' | xargs -r grep -nE \
        '^#include <(unistd|fcntl|pthread|dirent|signal|sched|poll|spawn|termios|time|threads|netdb|sys/[a-z]+|netinet/[a-z]+|arpa/[a-z]+)\.h>' &&
        echo "only src/os/ may include these" && bad=1
    product | grep -v '^src/base/' | xargs -r grep -nE \
        '(^|[^A-Za-z0-9_>.])(malloc|calloc|realloc|free|strdup|strndup|asprintf|aligned_alloc|posix_memalign)\(' |
        grep -vE ':[0-9]+: *(\*|/\*|//)' && echo "only src/base/ may call these: use mr_alloc, mr_free" && bad=1
    return $bad
}

check_format() { clang-format-14 --dry-run -Werror "${files[@]}"; }

check_sizes() { # bytes: what no longer fits one screenful of thought
    local file bad=0
    for file in "${files[@]}"; do
        [ "$(wc -c <"$file")" -le 40960 ] || { echo "$file is larger than 40 KB"; bad=1; }
    done
    return $bad
}

check_clang_tidy() {
    local flags
    flags=$(make --no-print-directory MODE=debug CC=clang-14 flags)
    # shellcheck disable=SC2086
    printf '%s\n' "${files[@]}" | grep '\.c$' |
        xargs -r -P "$(nproc)" -I{} sh -c '
            extra=""
            case "$1" in *_avx2.c) extra="-mavx2 -mbmi -mbmi2" ;; *_avx512.c) extra="-mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vbmi -mavx2 -mbmi -mbmi2" ;; esac
            out=$(clang-tidy-14 --quiet "$1" -- $2 $extra 2>/dev/null) || { printf "%s\n" "$out"; exit 1; }' tidy {} "$flags"
}

check_cppcheck() {
    printf '%s\n' "${files[@]}" | grep '\.c$' | grep -v '^test/' >build/cppcheck-files
    cppcheck -q -j "$(nproc)" --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
        --suppress=missingIncludeSystem --suppress=unknownMacro --suppress=normalCheckLevelMaxBranches \
        -D__x86_64__ -Isrc -Iinclude -I. --file-list=build/cppcheck-files
}

mkdir -p build
step floors check_floors
step doors check_doors
step sizes check_sizes
step format check_format
step clang-tidy check_clang_tidy
step cppcheck check_cppcheck
exit $failed
