#!/usr/bin/env bash
# A pipeline from the command line: checked, run, asked for its features; and what is refused, with its place.
run() { millrace "$@" 2>&1; local code=$?; [ $code = 0 ] || echo "[exit $code]"; }
cat > rule.yaml <<'YAML'
pipeline: rule
sources:
  payments: {topic: payments, event_time: at}
features:
  customer: {key: customer, windows: [1d, 7d], aggregates: {n: count(), spent: sum(amount)}}
decide:
  action: "case when customer_spent_1d > 250 then 'review' else 'allow' end"
sink: decisions
YAML
sed 's/sum(amount)/sum(amuont)/' rule.yaml > typo.yaml
sed 's/windows:/window:/' rule.yaml > key.yaml
run run rule.yaml
run features get customer 42
millrace -q simulate cards --customers 100 --days 6 --topic payments
run plan typo.yaml
run plan key.yaml
run plan nothing.yaml
run features list
run run rule.yaml --until-end
run run rule.yaml --until-end --json
run features list
run features list --json
run features get customer 42
run features get customer 42 --pipeline rule --json
run features get customer 42 --pipeline rule.yaml --json
run features get customer 4711
run features get customer forty
run features get card 42
run features get customer 42 --pipeline other
run consume decisions --fields tx,customer,customer_n_1d,action --max 3
run topic show decisions
sed 's/7d/8d/' rule.yaml > changed.yaml
run run changed.yaml --until-end
run run rule.yaml --until-end --workers many

# While it runs, another process sees the values as of the last micro-batch.
sed -e 's/pipeline: rule/pipeline: live/' -e 's/sink: decisions/sink: live/' rule.yaml > live.yaml
millrace -q run live.yaml &
for _ in $(seq 200); do
    millrace -q features get customer 42 --pipeline live.yaml > values 2> /dev/null && grep -q 'n_7d *11$' values && break
    sleep 0.05
done
cat values
echo '{"tx":9000,"at":"2018-04-06T23:00:00Z","customer":42,"terminal":1,"amount":1000,"fraud":0,"scenario":0}' |
    millrace -q produce payments --format jsonl
for _ in $(seq 200); do
    millrace -q features get customer 42 --pipeline live.yaml > values && grep -q 'n_7d *12$' values && break
    sleep 0.05
done
cat values
kill -INT $!
wait $!
echo "[stopped: exit $?]"
