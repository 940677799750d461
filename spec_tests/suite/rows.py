"""Prints an engine's rows as it needs them today: python -m spec_tests.suite.rows [ENGINE]

Look at the difference before you keep it: a row excuses a script, it must not hide a bug. What
fails otherwise is listed on stderr.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from spec_tests.suite.test_suite import FILES, Total, run_on, verdict

HEADER = """\
# Scripts of the official suite that cannot pass yet, and the feature that each of them needs.
# A script with a row runs all the same: it fails the test run when it passes in spite of its
# row, when the row names a feature that is not what is missing, or when anything else fails.
# python -m spec_tests.suite.rows {engine} prints this file anew.
"""

REASONS = {"custom_descriptors": "a proposal beyond WebAssembly 3.0"}


def feature_of(outcome: Total) -> str | None:
    """The feature that a script's row should name, or None when it needs no row."""
    return outcome.blocked.most_common(1)[0][0] if outcome.blocked else None


def main() -> None:
    """Run everything and print the rows."""
    engine = sys.argv[1] if len(sys.argv) > 1 else "reference"
    print(HEADER.format(engine=engine))
    with tempfile.TemporaryDirectory() as cache:
        for name in FILES:
            outcome = run_on(engine, name, Path(cache))
            feature = feature_of(outcome)
            for line in verdict(name, outcome, feature):
                print(line, file=sys.stderr)
            if feature is not None:
                reason = REASONS.get(feature, "not supported by the engine yet")
                print(f'[[skip]]\nfile = "{name}"\nfeature = "{feature}"\nreason = "{reason}"\n')


if __name__ == "__main__":
    main()
