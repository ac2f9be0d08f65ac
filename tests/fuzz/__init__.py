"""
The wire rules under a coverage-guided fuzzer.

`targets` says what must hold of any bytes, `starts` has the bytes to begin with, ``corpus`` the ones that the fuzzer
found worth keeping and those on which something was once wrong. ``make fuzz`` looks for more; the ordinary suite
replays them all, without the fuzzer.
"""
