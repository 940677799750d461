#!/bin/sh
# The main job: a C program that nobody need trust counts the words of a real text inside the
# sandbox. Then the same job again, from another folder, in another time zone and with another
# hash seed: the receipt has the same id.
#   sh examples/demo.sh [WATTEST]
set -eu
cd "$(dirname "$0")/.."
here=$PWD
wattest=${1:-wattest}
case $wattest in */*) wattest=$here/$wattest ;; esac
results=$(mktemp -d "${TMPDIR:-/tmp}/wattest-demo.XXXXXX")
trap 'rm -rf "$results"' EXIT INT TERM

identity() {
  sed -n 's/^    "id": "\(.*\)"$/\1/p' "$1"
}

echo '$ wattest run -e "WORDFREQ_TITLE=Words of the logbook" -i examples/data/logbook.txt \'
echo '      --result-dir results examples/wordfreq.wasm -n 8 -m 4'
"$wattest" run -e "WORDFREQ_TITLE=Words of the logbook" -i examples/data/logbook.txt --quiet \
  --result-dir "$results/first" examples/wordfreq.wasm -n 8 -m 4

printf '\nresults:\n'
(cd "$results/first" && find . -type f | sort | while read -r file; do
  printf '  %8s bytes  %s\n' "$(wc -c <"$file" | tr -d ' ')" "${file#./}"
done)

printf '\nresults/receipt.json:\n'
cat "$results/first/receipt.json"

cp -R examples/data "$results/elsewhere"
(cd "$results" && TZ=Asia/Tokyo LC_ALL=C PYTHONHASHSEED=7 "$wattest" run --quiet \
  -e "WORDFREQ_TITLE=Words of the logbook" -i elsewhere/logbook.txt \
  --result-dir second "$here/examples/wordfreq.wasm" -n 8 -m 4 >/dev/null)

first=$(identity "$results/first/receipt.json")
second=$(identity "$results/second/receipt.json")
printf '\nfirst run:                  %s\nagain, in another folder:   %s\n' "$first" "$second"
[ -n "$first" ] && [ "$first" = "$second" ] || { echo "the receipts differ"; exit 1; }
