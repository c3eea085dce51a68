"""Independent tasks: in this process, in several of this machine, or on a Dask or Ray cluster.

`run_tasks` is the only way by which riemaug does things at once; joblib carries them out.
"""

from riemaug.parallel.engine import Engine as Engine
from riemaug.parallel.engine import num_workers as num_workers
from riemaug.parallel.gpus import num_gpus as num_gpus
from riemaug.parallel.runner import run_tasks as run_tasks
from riemaug.parallel.threads import one_thread as one_thread
