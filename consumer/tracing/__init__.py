"""Traces: what is recorded of sampled events, and its way to a collector (OTLP over HTTP)."""
