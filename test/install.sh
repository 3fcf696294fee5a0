#!/usr/bin/env bash
# Installs into an empty folder and uses what is there as a stranger would: program, library, header, pkg-config
# file, man page, completions. Ends with the line "N passed, N failed".
set -uo pipefail
root=${MILLRACE_ROOT:-$(cd "$(dirname "$0")/.." && pwd)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
target=$work/image
passed=0 failed=0

try() { # name command...
    local name=$1
    shift
    if "$@" >"$work/log" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED install: $name"
        tail -n 20 "$work/log"
    fi
}

compile_user() {
    PKG_CONFIG_PATH=$target/usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$target \
        sh -c '"$0" -std=c11 -Wall -Wextra -Werror -o "$1" "$2" $(pkg-config --cflags --libs millrace)' \
        "${CC:-gcc}" "$work/user" "$root/test/install/user.c"
}

run_user() {
    local version
    version=$(cat "$root/VERSION")
    LD_LIBRARY_PATH=$target/usr/lib "$work/user" "$work/home" "$root/test/install/pipeline.yaml" >"$work/user.out" &&
        { cat "$root/test/install/user.out"; echo "millrace $version"; } | diff -u - "$work/user.out"
}

only_our_names() { # the library shows the public API and nothing else
    ! nm -D --defined-only "$target/usr/lib/libmillrace.so" | awk '{ print $3 }' | grep -v '^millrace_'
}

man_page() {
    gzip -dc "$target/usr/share/man/man1/millrace.1.gz" | grep -q '^\.SH EXIT STATUS' || return 1
    command -v man >/dev/null || return 0
    gzip -dc "$target/usr/share/man/man1/millrace.1.gz" | MANWIDTH=100 man --warnings=all -l - 2>"$work/man" >/dev/null
    [ ! -s "$work/man" ] || { cat "$work/man"; return 1; }
}

completion_script() { # parses, and offers verbs
    bash -c "source '$target/usr/share/bash-completion/completions/millrace'
        COMP_WORDS=(millrace top) COMP_CWORD=1; _millrace_complete; [ \"\${COMPREPLY[*]}\" = topic ] &&
        COMP_WORDS=(millrace topic cr) COMP_CWORD=2; _millrace_complete; [ \"\${COMPREPLY[*]}\" = create ] &&
        COMP_WORDS=(millrace topic create --part) COMP_CWORD=3; _millrace_complete; [ \"\${COMPREPLY[*]}\" = --partitions ] &&
        COMP_WORDS=(millrace produce --format j) COMP_CWORD=3; _millrace_complete; [ \"\${COMPREPLY[*]}\" = jsonl ]"
}

try "make install" make -C "$root" --no-print-directory install MODE=release DESTDIR="$target" PREFIX=/usr
try "the program runs" "$target/usr/bin/millrace" version
try "the library links" compile_user
try "the library works" run_user
try "the library shows only its API" only_our_names
try "the man page" man_page
try "the completion" completion_script
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
