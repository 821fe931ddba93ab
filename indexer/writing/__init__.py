"""Entries in, acknowledged positions out; nothing here opens a log file."""
