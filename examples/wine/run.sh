#!/bin/sh
# Red wines are scored while they come in; models of different kinds are published and promoted meanwhile.
#
#   run.sh [FOLDER]   FOLDER (or WINE_DATA): your copy of the tutorial's data set: the CSV, and its models there or in
#                     FOLDER/models. Without it, wines are made up and the models beside this script are used.
#
# Takes about half a minute. All is kept in MILLRACE_HOME; when that is not set, in a folder that is removed at the end.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
data=${1:-${WINE_DATA:-}}
work=$(mktemp -d "${TMPDIR:-/tmp}/millrace-wine-XXXXXX")
export MILLRACE_HOME="${MILLRACE_HOME:-$work/home}"
measured="fixed_acidity: float64, volatile_acidity: float64, citric_acid: float64, residual_sugar: float64,
    chlorides: float64, free_sulfur_dioxide: float64, total_sulfur_dioxide: float64, density: float64, pH: float64,
    sulphates: float64, alcohol: float64, quality: int64"
inputs=$(echo "$measured" | tr -d ' \n' | sed -e 's/:[a-z0-9]*//g' -e 's/,quality$//')
started=""

clean_up() {
    for process in $started; do
        kill "$process" 2>/dev/null || true
    done
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

# ---- the wines: topic `cellar` holds them, `wines` gets them one by one ----

make_up_wines() {
    awk 'BEGIN {
        srand(1)
        print "fixed_acidity,volatile_acidity,citric_acid,residual_sugar,chlorides,free_sulfur_dioxide," \
              "total_sulfur_dioxide,density,pH,sulphates,alcohol,quality"
        for (i = 0; i < 1600; i++) {
            acid = 0.2 + 0.8 * rand(); sulphates = 0.4 + 0.5 * rand(); alcohol = 8.5 + 5 * rand()
            free = int(3 + 40 * rand())
            quality = int(2.6 - 1.2 * acid + 0.7 * sulphates + 0.3 * alcohol + 1.4 * rand() - 0.2)
            printf "%.1f,%.2f,%.2f,%.1f,%.3f,%d,%d,%.4f,%.2f,%.2f,%.1f,%d\n", 6 + 6 * rand(), acid,
                0.6 * rand(), 1.5 + 3 * rand(), 0.05 + 0.1 * rand(), free, free + int(80 * rand()),
                0.992 + 0.01 * rand(), 3 + 0.7 * rand(), sulphates, alcohol, quality
        }
    }'
}

# As published (semicolons, no header), or with a header of these names; plain or packed.
fill_cellar() {
    for file in "$data"/winequality_red.csv "$data"/winequality_red.csv.zst "$data"/winequality_red.original.csv; do
        [ -f "$file" ] || continue
        case $(head -c 1 "$file") in
        [0-9]) millrace produce cellar "$file" --schema "$measured" --delimiter ';' --no-header ;;
        *) millrace produce cellar "$file" --schema "$measured" ;;
        esac
        return
    done
    echo "$0: there is no winequality_red.csv, .csv.zst or .original.csv in $data" >&2
    exit 1
}

# Twenty at a time, numbered and with the time they come in, until $work/enough is there; then from the first again.
pour() {
    wine=0
    while [ ! -f "$work/enough" ]; do
        millrace consume cellar --from offset=$((wine % 1580)) --max 20 |
            awk -v first=$wine -v now="$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
                '{ print (NR == 1 ? "wine,at" : first + NR - 1 "," now) "," $0 }' |
            millrace -q produce wines --format csv
        wine=$((wine + 20))
        sleep 0.1
    done
}

# ---- the models: what of each kind is there ----

find_model() {
    for file in "$data/models/$1" "$data/$1"; do
        [ -n "$data" ] && [ -f "$file" ] && echo "$file" && return
    done
    return 0
}

# publish NAME FILE WHY: a new version, and the champion from the next record on; nothing if there is no such file.
publish() {
    [ -n "$2" ] || return 0
    try model push "$1" "$2" --alias champion --why "$3"
    sleep 1
}

# How each version of a topic's scores did so far: while it runs, from the decisions themselves.
by_version() {
    printf '$ millrace consume %s | awk ...\n' "$1"
    millrace consume "$1" --fields "$2_version,quality,$3" | awk -F, '
        NR > 1 { wines[$1]++; miss = $2 - $3; sum[$1] += miss < 0 ? -miss : miss; right[$1] += int($3 + 0.5) == $2 }
        END { for (v = 1; v in wines; v++)
            printf "  version %d: %4d wines, off by %.3f on average, right for %.0f %%\n", v, wines[v],
                sum[v] / wines[v], 100 * right[v] / wines[v] }'
}

if [ -n "$data" ]; then
    fill_cellar
else
    make_up_wines | millrace produce cellar --format csv --schema "$measured"
fi
millrace topic create wines --event-time at --schema "wine: int64, at: timestamp, $measured"

say "The first versions: there must be a champion before a pipeline starts"
try model push wine "$here/models/linear.json" --alias champion --why "a rule of thumb to begin with"
try model push wine-class "$here/models/class-logistic.pmml" --alias champion --why "a rule of thumb to begin with"
graph=$(find_model optimized_WineQuality.pb)
[ -z "$graph" ] || try model push wine-graph "$graph" --alias champion --why "the tutorial's TensorFlow graph"

say "Pipelines run, wines come in"
for pipeline in pipeline classes ${graph:+graph}; do
    millrace -q run "$here/$pipeline.yaml" &
    started="$started $!"
done
pipelines=$started
pour &
pouring=$!
started="$started $pouring"
sleep 2

say "Other kinds, one after the other; nothing is restarted"
publish wine "$(find_model winequalityLinearRegression.pmml)" "PMML, linear regression"
publish wine-class "$(find_model winequalityDecisionTreeClassification.pmml)" "PMML, tree"
publish wine "$(find_model winequalityGeneralizedLinearRegressionGaussian.pmml)" "PMML, generalised linear regression"
publish wine-class "$(find_model winequalityRandonForrestClassification.pmml)" "PMML, forest"
publish wine "$(find_model winequalityDesisionTreeRegression.pmml)" "PMML, regression tree"
publish wine-class "$(find_model winequalityMultilayerPerceptron.pmml)" "PMML, neural network"
publish wine "$here/models/tree.pmml" "PMML, a tree of four leaves"
publish wine-class "$here/models/class-tree.pmml" "PMML, a tree of three leaves"

say "Meanwhile: what is decided now, and how each version did so far"
try consume wine-scores --max 3 --fields wine,quality,quality_score,quality_score_version,shelf
by_version wine-scores quality_score quality_score
by_version wine-classes quality_class quality_class_label
[ -z "$graph" ] || try consume wine-graph --max 3 --fields wine,quality,class,best
try model stats wine

say "A model trained on the wines that came in so far, promoted over those who are still to come"
try train wines --label quality --inputs "$inputs" --set objective=reg:squarederror,rounds=60,max_depth=4,eta=0.1 \
    --out "$work/trees"
publish wine "$work/trees" "boosted trees, trained on what came in"

say "Back to the version before"
try model rollback wine --why "just to show how"
sleep 1
try model show wine@champion --history

say "Enough: what is still to be decided is worked off"
touch "$work/enough"
wait $pouring
kill $pipelines
for process in $pipelines; do
    wait "$process" || true
done
started=""
for pipeline in pipeline classes ${graph:+graph}; do
    millrace -q run "$here/$pipeline.yaml" --until-end
done

by_version wine-scores quality_score quality_score
by_version wine-classes quality_class quality_class_label
try why wine-scores --where wine=300
