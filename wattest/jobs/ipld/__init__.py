"""IPFS contents: CIDs, UnixFS files and directories as blocks, and CAR files."""
