"""Tools that look into runs: profiles, reports, core dumps, comparison, the debugger."""
