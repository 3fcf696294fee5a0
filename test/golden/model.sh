#!/usr/bin/env bash
# Train from a file, score with what came of it; the same from a topic; and what is refused.
run() { # figures of quality depend on the library's version
    millrace "$@" 2>&1 | sed -E 's/\b[01]\.[0-9]+|\b[0-9.]+e-[0-9]+/F/g; s/("[a-z_]+":)1([,}])/\1F\2/g'
    local code=${PIPESTATUS[0]}
    [ "$code" = 0 ] || echo "[exit $code]"
}
awk 'BEGIN { srand(7); print "id,a,b,y"
    for (i = 0; i < 400; i++) { a = (i * 37) % 100; b = (i * 61) % 90; print i "," a "," b "," (a + b > 95 ? 1 : 0) } }' > rows.csv
run train rows.csv --label y --inputs a,b --out model --set rounds=20,max_depth=3,validation_fraction=0.25
ls model
run train rows.csv --label y --inputs a,b --out model
run train rows.csv --label y --inputs a,b --out model --replace --set rounds=5 --json
run train rows.csv --label y --out other
run train rows.csv --label y --inputs a,c --out other
run train rows.csv --label y --inputs a,b --out other --set roundz=5
run train rows.csv --inputs a,b --out other
run train rows.csv --label y --inputs a,b --out other --from 2024-01-01
millrace score rows.csv --model model --keep id,y > scores.csv
head -n 1 scores.csv
awk -F, 'NR > 1 && ($3 > 0.5) == ($2 == 1) { right++ } END { print (right > 390 ? "nearly all right" : right " of 400 right") }' scores.csv
millrace -q produce rows rows.csv --schema "id: int64, a: int32, b: float64, y: bool"
millrace score rows --model model --keep id > topic.csv
cut -d, -f1,3 scores.csv | diff - topic.csv && echo "a topic gets the same scores"
millrace score rows.csv --model model/model.json --keep id --schema "id: int64, a: float64, b: float64" | diff - topic.csv && echo "so does the model file alone"
printf 'id,a,b\n1,2,three\n2,,4\n' > odd.csv
run score odd.csv --model model --keep id --json
run score rows --model nothing
run score rows.csv --model model --keep zz
printf 'a\n1\n' > narrow.csv
run score narrow.csv --model model
