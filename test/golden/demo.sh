#!/usr/bin/env bash
# The whole demo, small and quick: every step is there, the figures are plausible, and it can be run again.
unset MILLRACE_HOME
summary() {
    grep -E '^[0-9]\. |^  \$ millrace|^What came' "$1"
    awk '/AUC ROC .*card precision/ { print ($3 + 0 > 0.7 && $6 + 0 > 0.3 ? "the model has learnt" : $0) }' "$1"
}
millrace demo --customers 800 --terminals 1600 --seconds 1 > first.txt 2> first.err || { cat first.err; exit 1; }
summary first.txt
millrace --home .millrace-demo --json topic show payments | grep -o '"records":[0-9]*'
millrace --home .millrace-demo --json topic show decisions | grep -o '"records":[0-9]*'
sort -c <(millrace --home .millrace-demo consume decisions --fields tx | tail -n +2 | awk '{ printf "%09d\n", $1 }') && echo "in order"
millrace demo --customers 100 --terminals 1600 --seconds 1 > second.txt 2>&1 && echo "again"
mkdir mine && millrace demo --home mine 2>&1
echo "[exit $?]"
