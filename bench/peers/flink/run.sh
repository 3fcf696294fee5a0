#!/usr/bin/env bash
# Runs the Flink peer: run.sh BUILD_FOLDER FOLDER heap|rocksdb ROWS
# FOLDER holds payments.csv, model.json and decisions.csv; JSON lines go to standard output.
set -euo pipefail
build=$1 work=$2 backend=$3 rows=$4
output=$work/flink-output
rm -rf "$output"
opens=()
for package in java.lang java.util java.time java.nio; do
    opens+=(--add-opens "java.base/$package=ALL-UNNAMED")
done
java -Xmx3g "${opens[@]}" -cp "$build/classes:$build/lib/*" millrace.bench.FlinkCards \
    "$work/payments.csv" "$work/model.json" "$work/decisions.csv" "$backend" "$PWD/$output" "$rows"
jars=$(find "$build/lib" -name '*.jar' | wc -l)
megabytes=$(du -sm "$build/lib" | cut -f 1)
printf '{"name": "pipeline.one_core.flink", "text": "%s; %d jars, %d MB, and a Java virtual machine; %d lines of Java"}\n' \
    "Flink 1.20 in one JVM on one core" "$jars" "$megabytes" \
    "$(cat "$(dirname "$0")"/src/main/java/millrace/bench/*.java | wc -l)"
rm -rf "$output"
