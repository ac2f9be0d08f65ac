"""The way around an outage of the log: clicks stay on this machine's disk meanwhile, in the order of arrival."""
