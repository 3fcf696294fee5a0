#!/usr/bin/env bash
# Topics: created with options, listed, shown, deleted; and what is refused.
topic() { millrace topic "$@" 2>&1 | sed "s#$MILLRACE_HOME#HOME#"; local code=${PIPESTATUS[0]}; [ "$code" = 0 ] || echo "[exit $code]"; }
topic list
topic create payments --schema "tx: int64, at: timestamp, note: string null" --event-time at --partitions 3 \
    --sync interval=20ms --codec zstd --retention-age 30d --retention-bytes 1GB --segment-bytes 16MiB
topic create payments --schema "tx: int64"
topic create shop/eu/orders --schema "id: int64"
topic create bad --schema "id: int63"
topic create bad --schema "id: int64" --event-time at
topic create bad --schema "id: int64" --event-time id
topic create bad
topic create bad/name/with/parts --schema "id: int64"
topic create bad --schema "id: int64" --sync interval=soon
topic create bad --schema "id: int64" --retention-age yesterday
topic list
topic list shop
topic list --names
topic list --json
topic show payments
topic show shop/eu/orders --json
topic delete shop/eu/orders
topic delete shop/eu/orders --yes
topic show shop/eu/orders
topic list --names
