"""Parts of `held_out_nll.py`."""
