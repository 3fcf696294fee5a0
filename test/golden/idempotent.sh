#!/usr/bin/env bash
# Running `produce --producer` again stores only what is missing: after it ended, after it was cut short, after the
# file grew, and over several partitions.
millrace -q simulate cards --customers 300 --terminals 600 --days 20 --out all.csv
total=$(($(wc -l < all.csv) - 1))
schema="tx: int64, at: timestamp, customer: int64, terminal: int64, amount: float64"
count() { millrace consume "$1" --fields tx | tail -n +2 | sort -n | uniq -c | awk '{ n++; if ($1 != 1) twice++ } END { print n + 0, twice + 0 }'; }
check() { [ "$(count "$1")" = "$total 0" ] && echo "$2: every payment once" || echo "$2: $(count "$1"), not $total 0"; }

millrace -q produce one all.csv --schema "$schema" --producer p
millrace -q produce one all.csv --producer p
check one "run twice"

millrace -q topic create many --schema "$schema" --partitions 5
head -n 3001 all.csv > growing.csv
millrace -q produce many growing.csv --key customer --producer p
cp all.csv growing.csv
millrace -q produce many growing.csv --key customer --producer p
check many "five partitions, and a file that grew"

millrace -q topic create cut --schema "$schema"
# Whenever it is killed, the result is the same; the pause only lets it get somewhere. Its input stays open till then.
mkfifo input
for bytes in 5000 70000 70001 300000 999999; do
    millrace -q produce cut --format csv --producer p < input &
    exec 3> input
    head -c $bytes all.csv >&3
    sleep 0.2
    kill -KILL $!
    wait $!
    exec 3>&-
done 2>/dev/null
millrace -q produce cut --format csv --producer p < all.csv
check cut "killed five times"

millrace -q produce one all.csv --producer another
[ "$(millrace consume one --fields tx | tail -n +2 | wc -l)" = $((2 * total)) ] && echo "another producer is another"
millrace produce many all.csv 2>&1
