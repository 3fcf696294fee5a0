#!/usr/bin/env bash
# Models as data: publish, follow aliases, go back, compare, move to another home; and what is refused.
export MILLRACE_PRINCIPAL=ann@example.org
run() { # times, hashes and processes differ from run to run
    millrace "$@" 2>&1 | sed -E 's/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z/TIME/g; s/\b[0-9a-f]{64}\b/HASH/g; s/\b[0-9a-f]{12}\b/HASH/g
        s/process [0-9]+/process N/g; s/push-[0-9]+/push-N/g; s/(of a known kind): .*/\1: .../; s#'"$MILLRACE_HOME"'#HOME#g; s/ +TIME +/ TIME /g'
    local code=${PIPESTATUS[0]}
    [ "$code" = 0 ] || echo "[exit $code]"
}
tree() { # file, value of the leaf for amount >= 10
    printf '{"learner":{"feature_names":["amount","night"],"gradient_booster":{"model":{"gbtree_model_param":{"num_parallel_tree":"1","num_trees":"1"},"tree_info":[0],"trees":[{"tree_param":{"num_nodes":"3","size_leaf_vector":"0"},"id":0,"left_children":[1,-1,-1],"right_children":[2,-1,-1],"split_indices":[0,0,0],"split_conditions":[10,-0.5,%s],"default_left":[1,0,0],"split_type":[0,0,0],"categories":[],"categories_nodes":[],"categories_segments":[],"categories_sizes":[]}]},"name":"gbtree"},"learner_model_param":{"base_score":"5E-1","num_class":"0","num_feature":"2","num_target":"1"},"objective":{"name":"binary:logistic"}},"version":[3,1,0]}' "$2" > "$1"
}
tree one.json 0.5
tree two.json 1.5
printf 'amount,night\n1,0\n20,1\n,0\n12.5,\n' > rows.csv

run model list
run model push fraud one.json --alias champion --why "the first" --profile rows.csv --data rows.csv --metric auc=0.9,test.auc=0.875
run model push fraud two.json --data payments
run model push fraud two.json --data payments@zero
run model push fraud two.json --metric auc=good
run model push fraud two.json
millrace -q produce payments rows.csv --schema "amount: float64 null, night: int64 null"
run model push fraud two.json --alias challenger --description "a sharper leaf" --data payments@0-100,payments
run model diff fraud fraud@challenger --sample payments --json
run model push fraud two.json --description "a sharper leaf" --data payments@0-100,payments
run model list
run model list fraud
run model show fraud@challenger
run score rows.csv --model fraud
run score rows.csv --model fraud@challenger --keep amount --json
run model diff fraud fraud@challenger --sample rows.csv --thresholds 0.5,0.7
run model promote fraud@challenger --why "better" --json
run model promote fraud/1 --expect 1
run model rollback fraud --why "worse"
run model rollback fraud
run model alias fraud/1 mine
run model alias fraud mine --remove
run model retire fraud/2
run model alias fraud challenger --remove
run model retire fraud/2 --why "too sharp"
run model promote fraud/2
run model tag fraud/1 stage=gold
run model describe fraud "finds fraud"
run model show fraud --history
run model list --json

run model export fraud fraud.tar.zst
run model export fraud fraud.tar.zst
tar --zstd -tf fraud.tar.zst | sed -E 's/@[0-9a-f]{64}/@HASH/'
mkdir unpacked && tar --zstd -xf fraud.tar.zst -C unpacked
(cd unpacked/*; name=$(basename "$PWD"); (echo 'millrace artifact 1'; for f in $(ls | LC_ALL=C sort); do
    echo "$(sha256sum < "$f" | cut -c1-64) $(stat -c %s "$f") $f"; done) | sha256sum | cut -c1-64 | grep -c "${name#*@}")
run --home other model import fraud.tar.zst --alias champion
run --home other model import fraud.tar.zst --name copy
run --home other score rows.csv --model copy/1
run --home other model verify

head -c 300 fraud.tar.zst > short.tar.zst
run --home other model import short.tar.zst
(cd unpacked/*; ln -s /etc/passwd link; cd ..; tar --format=ustar --zstd -cf ../link.tar.zst *; rm */link)
run --home other model import link.tar.zst
(cd unpacked/*; echo "# more" >> model.yaml; cd ..; tar --format=ustar --zstd -cf ../changed.tar.zst *)
run --home other model import changed.tar.zst
(cd unpacked; tar --format=ustar --zstd -cPf ../up.tar.zst ../rows.csv)
run --home other model import up.tar.zst
printf 'amount,night,!margin,!score\n1,0,0.25,0.5\n' > wrong.csv
run model push fraud one.json --golden wrong.csv
printf 'amount\n1\n' > narrow.csv
run model push fraud one.json --golden narrow.csv
run model push fraud rows.csv
run model push ../fraud one.json
run model show fraud@nobody
run model list
