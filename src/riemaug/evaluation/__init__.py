"""riemaug.evaluation."""
