"""Kernels, the engines they run on side by side, and the table of ratios (`make bench`)."""
