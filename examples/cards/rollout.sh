#!/bin/sh
# A challenger in shadow, then as a canary, then the champion; and a bad version that is found out and taken back.
#
# Payments are made up. Takes about 20 seconds; everything is kept in MILLRACE_HOME, or, when that is not set, in a
# folder that is removed at the end.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/millrace-rollout-XXXXXX")
export MILLRACE_HOME="${MILLRACE_HOME:-$work/home}"
pipeline=""

clean_up() {
    [ -z "$pipeline" ] || kill "$pipeline" 2>/dev/null || true
    wait
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say() { printf '\n== %s\n' "$*"; }

# Prints a command and does it.
try() {
    printf '$ millrace %s\n' "$*"
    millrace "$@"
}

# The next two days of payments happen.
day=47
happen() {
    from=$(date -u -d "2018-04-01 + $day days" +%F)
    until=$(date -u -d "2018-04-01 + $((day + 2)) days" +%F)
    awk -F, -v from="$from" -v until="$until" 'NR == 1 || ($2 >= from && $2 < until)' "$work/payments.csv" |
        millrace -q produce payments --format csv
    day=$((day + 2))
    sleep 1
}

# Decisions of the last two days, by the version that made them.
decided() {
    printf '$ millrace consume decisions-rollout | awk ...\n'
    millrace consume decisions-rollout --from "time=$from" --fields score_version,score_role,action,fraud | awk -F, '
        NR > 1 {
            by = "version " $1 ", " $2; n[by]++; stopped[by] += $3 != "allow"; wrong[by] += $3 != "allow" && $4 == 0
            missed[by] += $3 == "allow" && $4 == 1
        }
        END { for (by in n) printf "  %s: %d payments, %d stopped (%d wrongly), %d frauds let through\n", by, n[by],
            stopped[by], wrong[by], missed[by] }' | sort
}

# What the shadow would have done with them.
watched() {
    printf '$ millrace consume system/shadow/cards-rollout | awk ...\n'
    millrace consume system/shadow/cards-rollout --fields version,score,decided,flip | awk -F, -v skip="$1" '
        NR > 1 && $1 == skip { n++; apart += $2 > $3 ? $2 - $3 : $3 - $2; flips += $4 == "true" }
        END { printf "  version %d watched %d payments: scores %.3f apart, %d would be decided otherwise\n", skip, n,
            apart / n, flips }'
}

learn() { # FOLDER OPTIONS...
    folder=$work/$1
    shift
    millrace -q train features --label fraud --time at --from 2018-05-08 --out "$folder" "$@"
}

say "Seven weeks of payments, and models of the last ten days"
millrace simulate cards --customers 400 --days 60 --seed 5 --out "$work/payments.csv"
awk -F, 'NR == 1 || $2 < "2018-05-18"' "$work/payments.csv" | millrace produce payments --format csv --event-time at \
    --schema "tx: int64, at: timestamp, customer: int64, terminal: int64, amount: float64, fraud: int64, scenario: int64"
millrace run "$here/features.yaml" --until-end
learn small --inputs amount,night --set rounds=20,max_depth=3
learn large --leave-out tx,customer,terminal,scenario --set rounds=60,max_depth=4
learn bad --inputs night,weekend --set rounds=20,scale_pos_weight=1000

say "Version 1 decides; version 2 only watches"
try model push fraud "$work/small" --alias champion --why "amount and hour"
try model alias fraud/1 canary --why "no canary yet"
try model push fraud "$work/large" --alias challenger --why "all features"
millrace -q run "$here/rollout.yaml" &
pipeline=$!
sleep 2
happen
decided
watched 2

say "A fifth of the cards"
try model alias fraud/2 canary --why "the shadow looks right"
sleep 0.5
happen
decided

say "All of them"
try model promote fraud/2 --why "the canary does no worse"
sleep 0.5
happen
decided

say "A bad one, straight to the canary"
try model push fraud "$work/bad" --alias canary --why "in a hurry"
sleep 0.5
happen
decided

say "Taken back: one command, from the next payment on"
try model rollback fraud@canary --why "blocks everything"
sleep 0.5
happen
decided
try model stats cards-rollout
try model show fraud/3 --history
