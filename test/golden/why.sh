#!/usr/bin/env bash
# How decisions came about, on the cards example: asked for with and without a replay; and what cannot be told.
run() { # times, folders and figures of training are not the test's
    millrace "$@" 2>&1 | sed -E "s#$PWD/##g; s/20[2-9][0-9]-[0-9-]+T[0-9:.]+Z/TIME/g"
    local code=${PIPESTATUS[0]}
    [ "$code" = 0 ] || echo "[exit $code]"
}
cp "$MILLRACE_ROOT"/examples/cards/{pipeline,features}.yaml .
millrace -q simulate cards --customers 100 --days 30 --topic payments
millrace -q run features.yaml --until-end
millrace -q train features --label fraud --inputs amount,customer_tx_count_1d,terminal_risk_7d --out model --set rounds=10 > /dev/null 2>&1
sed 's/^sink: decisions/evidence: full\nsink: decisions/' pipeline.yaml > full.yaml
sed 's/^pipeline: cards/pipeline: bare/; s/^sink: decisions/sink: bare/' pipeline.yaml > bare.yaml
millrace -q run full.yaml --until-end
millrace -q run bare.yaml --until-end
millrace why decisions 4000 --replay > text
sed -E '/^  [-+][0-9.]+  /d; /score 0/d; s/20[2-9][0-9]-[0-9-]+T[0-9:.]+Z/TIME/' text | sed "s#$PWD/##g"
echo "--- reasons: $(grep -cE '^  [-+][0-9.]+  ' text) lines"

# Every kind of question agrees, and JSON has it all.
millrace why decisions 4000 --replay --json > a.json
millrace why bare 4000 --json > b.json
millrace why decisions --where tx=4000 --json > c.json
python3 - <<'PY'
import json
a, b, c = (json.load(open(name + ".json")) for name in "abc")
print("replay agrees:", a["replay"]["agrees"], "same plan:", a["replay"]["same_plan"])
print("found by id:", {k: v for k, v in a.items() if k != "replay"} == c)
print("found by counting:", all(a[k] == b[k] for k in ("position", "source_offset", "record", "columns", "versions", "reasons")))
scored = a["versions"][0]["scores"]["score"]
print("scored again to the bit:", scored == a["decision"]["score"])
margin = sum(r["adds"] for r in a["reasons"]) + a["base"]
import math
print("reasons add up:", abs(1 / (1 + math.exp(-margin)) - scored) < 1e-6)
PY

# A threshold that was changed afterwards: the bytes are not those of this file any more.
sed 's/score > 0.5/score > 0.0001/' full.yaml > changed.yaml
run why decisions 4000 --replay --pipeline changed.yaml --reasons 0 | tail -4
run audit scored decisions 4000
run audit scored decisions 4000 --json
run why payments 3
run why decisions 999999
run why decisions
run why decisions --where tx=none
run why decisions --where nothing=1
run why decisions --where tx=-5
run audit access fraud
run audit trained fraud
run model stats bare | sed -E 's/[0-9]+ ns .*/.../; s/scores .*/scores .../'
run model stats nothing
