#!/usr/bin/env bash
# Reading: where to start, how much, in which form, and going on where the last run ended.
run() { millrace "$@" 2>&1; local code=$?; [ $code = 0 ] || echo "[exit $code]"; }
for i in 0 1 2 3 4 5; do
    echo "$i,2024-05-0$((i + 1))T00:00:00Z,\"text, $i\""
done | { echo id,at,note; cat; } > a.csv
millrace -q produce t a.csv --schema "id: int64, at: timestamp, note: string" --event-time at
run consume t --max 2
run consume t --from offset=4 --json
run consume t --from time=2024-05-04 --fields id,note
run consume t --from latest
run consume t --max 0
run consume t --fields note --format raw --max 1
run consume t --format raw
run consume t --fields nothing
run consume t --from offset=99
run consume t --from time=never
run consume nothing
for _ in 1 2 3 4; do run consume t --position p --max 2 --fields id; done
millrace consume t --follow --fields id --from offset=4 > followed &
echo '{"id":6,"at":"2024-05-07","note":""}' | millrace -q produce t --format jsonl
for _ in $(seq 100); do grep -q 6 followed && break; sleep 0.1; done
kill -INT $!
wait $!
echo "[followed: exit $?]"
cat followed
millrace consume t | head -n 1
echo "[${PIPESTATUS[*]}]"
