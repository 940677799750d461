"""The virtual file tree: directories and files of the host and in memory, mounts, paths."""
