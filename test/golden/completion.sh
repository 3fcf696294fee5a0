#!/usr/bin/env bash
# Completion scripts parse where their shell is installed, and bash's offers what fits. Logging obeys MILLRACE_LOG.
for shell in bash zsh fish; do
    millrace completion $shell > script
    command -v $shell > shell-is-there && { $shell -n script || echo "$shell cannot read its script"; }
    [ -s script ] && echo "$shell has a script"
done
millrace completion tcsh 2>&1
millrace -q topic create payments --schema "id: int64"
source <(millrace completion bash)
complete_line() { # words...
    COMP_WORDS=(millrace "$@") COMP_CWORD=$# COMPREPLY=()
    _millrace_complete
    echo "$*: ${COMPREPLY[*]}"
}
complete_line pro
complete_line features ""
complete_line consume --f
complete_line consume --format ""
complete_line consume def
complete_line topic show de
MILLRACE_LOG=loud millrace version 2>&1 | head -n 2
millrace help > /dev/full
echo "[a full disk: exit $?]"
