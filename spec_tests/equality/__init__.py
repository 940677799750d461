"""The accelerator against the reference: whole programs must come to the same receipt."""
