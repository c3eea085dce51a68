"""One thread a process: the tests run in several, and threads that wait for each other would slow them.

Property tests look at the same examples in each run: a new one would fail in somebody else's change. To look
for new ones: `HYPOTHESIS_PROFILE=new pytest ...`.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("same", derandomize=True)
settings.register_profile("new", derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
