#!/usr/bin/env bash
# Why: contributions and reasons beside scores, in a pipeline with texts and groups, and a model as a whole.
run() { millrace "$@" 2>&1; local code=$?; [ $code = 0 ] || echo "[exit $code]"; }
stump() { # feature, step, share of the left
    echo "{\"left_children\":[1,-1,-1],\"right_children\":[2,-1,-1],\"split_indices\":[$1,0,0],\"split_conditions\":[100,-$2,$2],\"default_left\":[1,0,0],\"sum_hessian\":[4,$3,$((4 - $3))]}"
}
model() { # trees
    cat << JSON
{"learner":{"feature_names":["amount","spent_week","visits"],"gradient_booster":{"model":{"tree_info":[0,0,0],"trees":[$1]},"name":"gbtree"},
 "learner_model_param":{"base_score":"5E-1","num_class":"0","num_feature":"3"},"objective":{"name":"binary:logistic"}}}
JSON
}
model "$(stump 0 1 3),$(stump 1 0.5 2),$(stump 2 0.25 2)" > model.json
model "$(stump 0 1 3 | sed 's/"sum_hessian.*/"x":0}/'),$(stump 1 0.5 2),$(stump 2 0.25 2)" > blind.json
for i in $(seq 0 39); do echo "$i,2024-01-01T00:00:$((10 + i % 50))Z,$((i * 5)),$((i % 4 * 60)),$((i % 3 * 90))"; done |
    (echo "tx,at,amount,spent_week,visits" && cat) > rows.csv
run score rows.csv --model model.json --keep tx --contributions --output jsonl | sed -n '30,31p'
run score rows.csv --model model.json --keep tx --reasons 2 --output jsonl | sed -n '30,31p'
run score rows.csv --model model.json --reasons 0
run score rows.csv --model blind.json --reasons 1
run explain rows.csv --model model.json --depth 3
run explain rows.csv --model model.json --depth 1 --rows 8 --json
run explain rows.csv --model blind.json --depth 1
run explain rows.csv --model model.json --of margin
run explain rows.csv

cat > why.yaml << 'YAML'
pipeline: why
sources:
  payments:
    file: rows.csv
    schema: {tx: int64, at: timestamp, amount: float64, spent_week: float64, visits: float64}
    event_time: at
score:
  model: model.json
  reasons:
    count: 2
    min_score: 0.7
    groups: {habits: [spent_week, visits]}
    texts: {amount: "an amount of {value}", habits: "{feature} is {value}"}
decide: {action: "case when score > 0.7 then 'review' else 'allow' end"}
sink: {topic: decisions, columns: [tx, score, score_reasons, action]}
YAML
run plan why.yaml | grep -A4 reasons
run -q run why.yaml --until-end
run consume decisions --max 24 | tail -n 3
sed 's/\[spent_week, visits\]/[spent_weke]/' why.yaml > typo.yaml
sed 's/count: 2/count: many/' why.yaml > many.yaml
sed 's/model.json/blind.json/' why.yaml > blind.yaml
sed 's/min_score: 0.7/direction: up/' why.yaml > up.yaml
for file in typo many blind up; do run plan $file.yaml; done

# The same bytes from one worker and from three, which share the rows of a micro-batch.
for i in $(seq 0 2999); do echo "$i,2024-01-01T01:$((10 + i / 60 % 50)):$((10 + i % 50))Z,$((i % 211)),$((i % 173)),$((i % 190))"; done |
    (echo "tx,at,amount,spent_week,visits" && cat) > many.csv
for workers in 1 3; do
    sed -e 's/rows.csv/many.csv/' -e "s/pipeline: why/pipeline: by_$workers/" -e "s/topic: decisions/topic: by_$workers/" why.yaml > by.yaml
    run -q run by.yaml --until-end --workers $workers
    millrace consume by_$workers > by_$workers.csv
done
cmp by_1.csv by_3.csv && grep -c reason by_1.csv
