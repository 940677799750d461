"""Runs inside the sandbox, on CPython compiled to WebAssembly: statistics of a CSV table.

csv_report.py TABLE GROUP VALUE     reads /inputs/TABLE, writes /outputs/report.json
"""

import csv
import json
import statistics
import sys

table, group, value = sys.argv[1:]
values: dict[str, list[float]] = {}
with open(f"/inputs/{table}", newline="") as lines:
    for row in csv.DictReader(lines):
        if row[value]:
            values.setdefault(row[group], []).append(float(row[value]))

report = {
    name: {
        "count": len(found),
        "mean": round(statistics.fmean(found), 4),
        "stdev": round(statistics.stdev(found), 4),
        "median": statistics.median(found),
    }
    for name, found in sorted(values.items())
}
with open("/outputs/report.json", "w") as output:
    json.dump(report, output, indent=2)
for name, row in report.items():
    print(f"{name:12} " + "  ".join(f"{key} {number:>9}" for key, number in row.items()))
