#!/usr/bin/env bash
# Installs what was built: tools/install.sh BUILD_FOLDER TARGET PREFIX VERSION
# TARGET is where files go (DESTDIR + PREFIX), PREFIX is where they will be found.
set -euo pipefail
if [ $# -ne 4 ]; then
    sed -n '2,3s/^# //p' "$0" >&2
    exit 2
fi
build=$1 target=$2 prefix=$3 version=$4
cd "$(dirname "$0")/.."

for file in "$build/millrace" "$build/libmillrace.so"; do
    [ -f "$file" ] || { echo "there is no $file: run make first" >&2; exit 3; }
done

install -d "$target/bin" "$target/lib/pkgconfig" "$target/include/millrace" "$target/share/man/man1" \
    "$target/share/bash-completion/completions" "$target/share/zsh/site-functions" \
    "$target/share/fish/vendor_completions.d" "$target/share/millrace/examples"

install -m 755 -s "$build/millrace" "$target/bin/millrace"
install -m 755 -s "$build/libmillrace.so" "$target/lib/libmillrace.so.$version"
soname=$(objdump -p "$build/libmillrace.so" | awk '$1 == "SONAME" { print $2 }')
ln -sf "libmillrace.so.$version" "$target/lib/$soname"
ln -sf "$soname" "$target/lib/libmillrace.so"
install -m 644 include/millrace/*.h "$target/include/millrace/"
cp -R examples/. "$target/share/millrace/examples/"

cat > "$target/lib/pkgconfig/millrace.pc" <<PC
prefix=$prefix
libdir=\${prefix}/lib
includedir=\${prefix}/include

Name: millrace
Description: Predictive data pipelines: events in, decisions out, in one process
Version: $version
Libs: -L\${libdir} -lmillrace
Cflags: -I\${includedir}
PC

"$build/millrace" help --man | gzip -9n > "$target/share/man/man1/millrace.1.gz"
"$build/millrace" completion bash > "$target/share/bash-completion/completions/millrace"
"$build/millrace" completion zsh > "$target/share/zsh/site-functions/_millrace"
"$build/millrace" completion fish > "$target/share/fish/vendor_completions.d/millrace.fish"
