"""Programs and inputs by address: fetched before a run, checked, and kept in the local store."""
