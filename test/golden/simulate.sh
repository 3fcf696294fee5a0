#!/usr/bin/env bash
# The same seed makes the same payments, as a file and in a topic, today and next year.
millrace -q simulate cards --customers 100 --days 10 --seed 7 --out a.csv --outcomes o.csv
head -n 4 a.csv
head -n 3 o.csv
wc -l < a.csv
millrace -q simulate cards --customers 100 --days 10 --seed 7 --topic payments --outcomes-topic outcomes
millrace consume payments | cmp - a.csv && millrace consume outcomes | cmp - o.csv && echo "the topics hold the same"
millrace simulate cards --customers 100 --days 10 --seed 7 --first-days 4 2>/dev/null | cmp - <(head -n "$(millrace -q simulate cards --customers 100 --days 10 --seed 7 --first-days 4 | wc -l)" a.csv) &&
    echo "the first days are the start of all days"
millrace simulate cards --topic payments 2>&1
echo "[exit $?]"
millrace simulate cards --days 3 --first-days 4 2>&1
echo "[exit $?]"
