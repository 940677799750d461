"""Place of the accelerator (a Cython engine); this release runs on the reference alone."""
