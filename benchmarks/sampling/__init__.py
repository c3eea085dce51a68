"""The parts of `benchmarks/samplers.py`; a file is one measurement or one thing measured."""
