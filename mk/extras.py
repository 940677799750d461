"""Prints what the named extras of the installed wattest require, for pip to install.

python mk/extras.py test lint

`pip install .[test]` would build the extension modules once more.
"""

from __future__ import annotations

import sys
from importlib.metadata import requires

from pip._vendor.packaging.requirements import Requirement

for requirement in map(Requirement, requires("wattest") or ()):
    marker = requirement.marker
    if marker and any(marker.evaluate({"extra": extra}) for extra in sys.argv[1:]):
        requirement.marker = None
        print(requirement)
