"""Build script: all metadata is in pyproject.toml.

The extension modules of the accelerator will be named here; until then the package is pure.
"""

from setuptools import setup

setup()
