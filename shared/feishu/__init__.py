"""The platform's wire rules, without input or output: bytes to values and values to bytes."""
