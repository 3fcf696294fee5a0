#!/usr/bin/env bash
# Installs the Debian packages a target needs, and only those that are missing. Says nothing when all are there.
#   tools/setup.sh build|test|soak|bench|peers|fuzz|tidy
set -euo pipefail
cd "$(dirname "$0")/.."

# ---- the one list of packages; `make` reads the pkg-config names of the libraries from the Makefile ----
build="gcc make pkg-config libc6-dev libisal-dev libyaml-dev libzstd-dev liblz4-dev zlib1g-dev libpcre2-dev
       libjansson-dev libxxhash-dev libexpat1-dev nettle-dev libsqlite3-dev libprotobuf-c-dev
       protobuf-c-compiler libxgboost0"
tests="$build libcmocka-dev python3"
soak="$tests valgrind"
bench="$build g++ libxgboost-dev libsimdjson-dev python3 python3-venv"
peers="openjdk-17-jdk-headless maven" # other makers' programs that are measured beside ours
fuzz="$build libcmocka-dev clang-14 libclang-rt-14-dev"
tidy="$build libcmocka-dev clang-14 clang-format-14 clang-tidy-14 cppcheck"

case "${1:-}" in
build) wanted=$build ;;
test) wanted=$tests ;;
soak) wanted=$soak ;;
bench) wanted=$bench ;;
peers) wanted=$peers ;;
fuzz) wanted=$fuzz ;;
tidy) wanted=$tidy ;;
*) echo "usage: tools/setup.sh build|test|soak|bench|peers|fuzz|tidy" >&2; exit 2 ;;
esac

# Elsewhere nothing is installed: either the libraries are there already, or we say which are not.
check_by_pkg_config() {
    local libraries missing="" library
    libraries=$(sed -n 's/^PACKAGES := //p' Makefile)
    [ "$1" = test ] || [ "$1" = soak ] || [ "$1" = fuzz ] || [ "$1" = tidy ] && libraries="$libraries cmocka"
    for library in $libraries; do
        pkg-config --exists "$library" 2>/dev/null || missing="$missing $library"
    done
    [ -z "$missing" ] && return 0
    {
        echo "This is not a Debian or Ubuntu system, so nothing was installed."
        echo "Please install these libraries with their headers (names as pkg-config knows them):"
        echo "   $missing"
        echo "and a C17 compiler, make, pkg-config. The Debian packages are:" $wanted
    } >&2
    return 1
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    check_by_pkg_config "$1"
    exit
fi

# shellcheck disable=SC2086  # a list of words
present=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted 2>/dev/null | sed -n 's/^installed //p' || true)
missing=""
for package in $wanted; do
    case "
$present
" in
    *"
$package
"*) ;;
    *) missing="$missing $package" ;;
    esac
done
[ -z "$missing" ] && exit 0

as_root=""
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "Packages are missing, and there is no sudo. As root, please run: apt-get install$missing" >&2
        exit 1
    fi
    as_root="sudo"
fi
echo "installing:$missing" >&2
export DEBIAN_FRONTEND=noninteractive
install() {
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >&2
}
# The package lists are fetched only when the install fails without: they may be there and fresh.
install 2>/dev/null || { $as_root apt-get update -q >&2 && install; }
