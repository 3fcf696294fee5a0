#!/usr/bin/env bash
# What a newcomer sees: the overview, the help of a verb and of a group, and what mistakes lead to.
millrace help | sed -n '1,/Options of every verb/p'
millrace topic delete --help
millrace help topic
millrace -q topic create t --schema "id: int64"
same() { cmp -s <("${@:2}") <(millrace help "$1") && echo "help $1 is the same both ways"; }
same produce millrace produce --help
same "topic" millrace topic
for line in "prodcue x" "topic craete" "topic frobnicate" "produce" "consume t --frm earliest" "consume t --from sometime" \
    "consume t --max many" "consume t u" "help nothing" "topic list --home" "version --json=1" "-x"; do
    # shellcheck disable=SC2086
    millrace $line 2>&1
    echo "[$line: exit $?]"
done
