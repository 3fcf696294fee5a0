#!/usr/bin/env bash
# Files in: formats, schemas, dead letters with their places, and the exit codes of each.
run() { millrace "$@" 2>&1; local code=$?; [ $code = 0 ] || echo "[exit $code]"; }
printf 'id,amount,when\n1,10.5,2024-05-01T10:00:00Z\n2,1O.5,2024-05-01T10:00:01Z\n3,7,yesterday\n4,8\n5,9,2024-05-01\n' > a.csv
printf '{"id":6,"amount":1e3,"when":"2024-05-02T00:00:00+02:00"}\n{"id":"seven"}\n{"id":8,"amount":null,"when":null}\n' > b.jsonl
run produce orders a.csv --schema "id: int64, amount: float64 null, when: timestamp null"
run produce orders b.jsonl
run consume orders
run consume orders.dead --json
run consume orders.dead --fields record --format raw
gzip -k b.jsonl
run produce orders b.jsonl.gz --dead-letters dead.jsonl --quiet
cat dead.jsonl
run produce orders - --format csv --no-header --delimiter ';' <<< '9;2.5;2024-05-03'
run consume orders --from offset=4 --fields when,id
run produce orders a.txt
run produce orders missing.csv
run produce other a.csv
run produce orders a.csv --schema "id: string"
printf 'a,b\n1,2\n' > wrong.csv
run produce orders wrong.csv
