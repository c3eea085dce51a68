"""Fuzzing: readers of files of unknown origin are given bytes that nobody would write.

`python -m fuzz` drives the targets by coverage, with atheris; `tests/unit/test_fuzz_targets.py` runs them
with hypothesis, and over every file in `fuzz/corpus`.
"""
