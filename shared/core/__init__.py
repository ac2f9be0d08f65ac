"""Pure values and rules: no clock, no I/O, no logging. Everything here takes values and returns values."""
