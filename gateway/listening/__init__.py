"""Sockets, and HTTP within bounds on them."""
