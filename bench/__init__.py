"""Benchmarks: how fast Cardwire is, always beside a plain program that does the same work in the same run."""
