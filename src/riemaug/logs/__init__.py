"""What a run tells while it goes on: records of the logger "riemaug", kept in a run's folder as JSON lines.

Modules log as usual, through `logging.getLogger(__name__)`; nothing is shown or written unless the
application asks for it. `RunLog` keeps the records of one run, those of its worker processes too.
"""

import logging

from riemaug.logs.clock import StageClock as StageClock
from riemaug.logs.context import in_class as in_class
from riemaug.logs.context import stage as stage
from riemaug.logs.folder_log import logged_in as logged_in
from riemaug.logs.lines import fields as fields
from riemaug.logs.run_log import IN_LOG as IN_LOG
from riemaug.logs.run_log import LOG_NAME as LOG_NAME
from riemaug.logs.run_log import RunLog as RunLog
from riemaug.logs.usage import peak_memory_mb as peak_memory_mb
from riemaug.logs.workers import carried as carried

# without a handler of its own a library's warnings would go to stderr
logging.getLogger("riemaug").addHandler(logging.NullHandler())
