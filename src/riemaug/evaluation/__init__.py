"""Judging samples: classifiers, fidelity and diversity, nearest neighbours and copies."""
