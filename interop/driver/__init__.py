"""The interop driver: peer processes, the cases they go through, and the report."""
