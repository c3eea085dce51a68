"""Judging samples: classifiers, nearest neighbours and copies."""
