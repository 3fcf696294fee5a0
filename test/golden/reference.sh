#!/usr/bin/env bash
# docs/reference/cli.md and the exit codes are those of the program. To make them so:
#   millrace help --markdown > docs/reference/cli.md
diff <(millrace help --markdown) "$MILLRACE_ROOT/docs/reference/cli.md" && echo "docs/reference/cli.md is current"
diff <(millrace help --markdown | sed -n '/^## Exit codes/,$p' | grep -oE '^\| [0-9]+' ) \
    <(grep -oE '^\| [0-9]+ ' "$MILLRACE_ROOT/docs/reference/exit-codes.md" | sed 's/ $//') &&
    echo "docs/reference/exit-codes.md lists the same codes"
for page in pipeline expressions aggregates; do
    diff <(millrace help $page) "$MILLRACE_ROOT/docs/reference/$page.md" && echo "docs/reference/$page.md is current"
done
