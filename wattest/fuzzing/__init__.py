"""Generated modules on several engines: what ``wattest fuzz`` does, and the differential tests."""
