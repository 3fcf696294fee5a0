#!/usr/bin/env bash
# Versions change while a pipeline runs: published, promoted, rolled back, damaged; each decision can be asked about.
run() { # times and hashes are not the test's
    millrace "$@" 2>&1 | sed -E "s#$PWD/##g; s/20[2-9][0-9]-[0-9-]+T[0-9:.]+Z/TIME/g; s/[0-9a-f]{64}/HASH/g; s/content [0-9a-f]{12}/content HASH/g; s/process [0-9]+/process N/g"
    local code=${PIPESTATUS[0]}
    [ "$code" = 0 ] || echo "[exit $code]"
}
export MILLRACE_PRINCIPAL=ann@example.org
cp "$MILLRACE_ROOT"/examples/cards/features.yaml .
millrace -q simulate cards --customers 100 --days 20 --topic payments
millrace -q run features.yaml --until-end
for rounds in 5 10 15; do
    millrace -q train features --label fraud --inputs amount,customer_tx_count_1d,terminal_risk_7d --out model-$rounds \
        --set rounds=$rounds,seed=$rounds > /dev/null 2>&1
done
sed '/^score:/,$d; s/^pipeline: cards-features/pipeline: live/; /^sink:/d' features.yaml > live.yaml
cat >> live.yaml <<'YAML'
score:
  model: fraud@champion
  rollout:
    shadow: [fraud@2]
    canary: {model: fraud@2, share: 30%, key: customer}
decide:
  action: "case when score > 0.9 then 'block' when score > 0.5 then 'review' else 'allow' end"
evidence: full
sink: decisions
YAML
run plan live.yaml
run model push fraud model-5 --alias champion --why "the first" > /dev/null
run model push fraud model-10 > /dev/null
run model push fraud model-15 > /dev/null

decided() { millrace -q consume decisions --fields tx,score_version,score_role 2> /dev/null; }
await() { # until so many decisions are there, or a version was seen
    for _ in $(seq 600); do
        decided | grep -q "$1" && return
        sleep 0.05
    done
    echo "never saw $1"
}
pay() { # one payment of a customer whom the canary does not decide
    echo "{\"tx\":$1,\"at\":\"2018-05-01T00:00:${1: -2}Z\",\"customer\":${2:-1},\"terminal\":1,\"amount\":80,\"fraud\":0,\"scenario\":0}" |
        millrace -q produce payments --format jsonl
}
seen() { decided | grep "^$1," | cut -d, -f2-; }

millrace -q run live.yaml &
await '^1500,'
customer=$(millrace -q consume decisions --fields customer,score_role | grep -m1 ',live$' | cut -d, -f1)
keyed=$(millrace -q consume decisions --fields customer,score_role | grep -m1 ',canary$' | cut -d, -f1)
pay 900001 "$customer"; await '^900001,'; seen 900001
pay 900002 "$keyed"; await '^900002,'; seen 900002

swapped() { # pays until a version decides
    for i in $(seq 10 99); do
        pay "$1$i" "$customer"; await "^$1$i,"
        [ "$(seen "$1$i")" = "$2" ] && at=$1$i && echo "now $2" && return
    done
    echo "never $2"
}
why() { # the bytes agree, each version says the same again, and what is told of the decider
    echo "$1: $(millrace why decisions --where "tx=$2" --replay --json | python3 -c '
import json, sys
a = json.load(sys.stdin)
d = [v for v in a["versions"] if v["decided"]][0]
shadow = [v for v in a["versions"] if v["role"] == "shadow"][0]
print("agrees" if a["replay"]["agrees"] else "DIFFERS", "of %s %d, %s," % (d["model"], d["version"], d["role"]),
      "same score" if d["scores"]["score"] == a["decision"]["score"] else "another score",
      "and shadow," if shadow["recorded"] == shadow["scores"]["score"] else "NOT the shadow,",
      "put there by", a["placed"]["who"] + ": " + a["placed"]["why"] if "placed" in a else "the file")')"
}
run model promote fraud/3 --why "better" > /dev/null
swapped 9100 3,live
why "promoted" "$at"
run model rollback fraud --why "too many blocks" > /dev/null
swapped 9200 1,live
why "rolled back" "$at"
why "the first" 5
why "live" 900001
why "canary" 900002
millrace -q model stats live --json | python3 -c '
import json, sys
for m in json.load(sys.stdin)["models"]: print(m["model"], m["version"], m["role"], "plays" if m["plays"] else "plays no more")'

# A version whose artifact was damaged after it was published: the one before it goes on.
hash=$(millrace model show fraud/3 --json | sed -E 's/.*"hash":"([0-9a-f]{64})".*/\1/')
chmod -R u+w "$MILLRACE_HOME/registry/artifacts"
echo damaged >> "$MILLRACE_HOME/registry/artifacts/$hash/golden.csv"
run model promote fraud/3 --why "again" > /dev/null
for _ in $(seq 200); do
    millrace audit access fraud | grep -q refused && break
    sleep 0.05
done
pay 930001 "$customer"; await '^930001,'; seen 930001
kill -INT $!; wait $!; echo "[stopped: exit $?]"
run model rollback fraud > /dev/null
run why decisions --where "tx=900001" --reasons 0 | sed -n '/^model/,/^scores/p'
run audit scored decisions --where tx=900001
run audit trained fraud/1 | sed -E 's/version: .*/version: .../'
run audit access fraud | awk '$2 !~ /read|score/ { $1 = ""; print }' | sed -E 's/position [0-9]+/position N/; s/golden line.*/.../' |
    grep -E ' (publish|alias|refused|swapped) ' | sort | uniq
