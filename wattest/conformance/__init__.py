"""Test scripts run on engines: what ``wattest conform`` does, and the project's own tests."""
