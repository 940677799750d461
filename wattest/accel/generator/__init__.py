"""Build-time generator of the accelerator's handlers; not used at run time."""
