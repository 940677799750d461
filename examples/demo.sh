#!/bin/sh
# The main job: a C program that nobody need trust counts the words of a real text inside the
# sandbox, twice, and the two receipts agree.
#   sh examples/demo.sh [WATTEST]
set -eu
cd "$(dirname "$0")/.."
wattest=${1:-wattest}
results=$(mktemp -d "${TMPDIR:-/tmp}/wattest-demo.XXXXXX")
trap 'rm -rf "$results"' EXIT INT TERM

show() {
  printf '\n$ %s\n' "$*"
  "$@"
}

show "$wattest" run -e "WORDFREQ_TITLE=Words of the logbook" -i examples/data/logbook.txt \
  --result-dir "$results/first" examples/wordfreq.wasm -n 8 -m 4

printf '\nThe results:\n'
(cd "$results/first" && find . -type f | sort | while read -r file; do
  printf '  %8s  %s\n' "$(wc -c <"$file" | tr -d ' ')" "$file"
done)
printf '\nThe receipt:\n'
cat "$results/first/receipt.json"
