"""Formats of records: each turns a record's value and headers into the tree of an event."""
