"""What the operating system refuses is told with the rule, the finding and the fix."""

import errno

import pytest
from safetensors import SafetensorError

from riemaug.disk import disk_fault, stops_all

RUST = SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")


@pytest.mark.parametrize(
    ("error", "rule", "fix", "all_stop"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/out/a"), "must have room", "free space", True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "must have room", "free space", True),
        (OSError(errno.EFBIG, "File too large"), "must have room", "free space", True),
        (OSError(errno.EROFS, "Read-only file system"), "must be writable", "let it be written to", True),
        (PermissionError(errno.EACCES, "Permission denied"), "must be open", "allow it", False),
        (FileNotFoundError(errno.ENOENT, "No such file", "/data/a"), "must stay", "put it back", False),
        (OSError(errno.EIO, "Input/output error"), "must work", "mend it", True),
        (RUST, "must have room", "free space", True),
        (OSError("10 requested and 3 written"), "refused", "mend that", False),
    ],
)
def test_rule_finding_and_fix(error: Exception, rule: str, fix: str, all_stop: bool) -> None:
    told = disk_fault(error)
    assert rule in told
    assert told.endswith(f": {fix}")
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    assert said in told
    assert (getattr(error, "filename", None) or "") in told
    assert stops_all(error) == all_stop
