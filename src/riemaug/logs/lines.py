"""Records as lines: JSON for files, plain text for a terminal, and records from JSON again."""

import json
import logging
import math
import traceback
from datetime import UTC, datetime
from typing import Any

from riemaug.logs.context import CLASS, PLACE, STAGE
from riemaug.logs.process import process_name

_PLAIN = (bool, int, str, type(None))


def fields(**values: Any) -> dict[str, dict[str, Any]]:
    """Return what makes `values` the fields of a record: `log.info("read", extra=fields(samples=10))`."""
    return {"fields": values}


def mark(record: logging.LogRecord) -> None:
    """Note on a record where it came from, unless that is noted: run, process, stage, class."""
    if hasattr(record, "process_name"):
        return
    place = PLACE.get()
    record.run_token = "" if place is None else place.token
    record.process_name, record.stage, record.class_name = process_name(), STAGE.get(), CLASS.get()


def json_line(record: logging.LogRecord) -> str:
    """Return a marked record as one line of JSON, without the line's end."""
    content = {
        "time": _time(record),
        "level": record.levelname.lower(),
        "stage": _told(record, "stage"),
        "class": _told(record, "class_name"),
        "message": record.getMessage(),
        "fields": _plain(getattr(record, "fields", {})),
        "logger": record.name,
        "process": _told(record, "process_name"),
    }
    if record.exc_info and record.exc_info[1] is not None:
        content["traceback"] = "".join(traceback.format_exception(record.exc_info[1]))
    elif record.exc_text:
        content["traceback"] = record.exc_text
    # what UTF-8 cannot hold, such as odd bytes in the names of files, is written with backslashes
    line = json.dumps(content, ensure_ascii=False, allow_nan=False)
    return line.encode("utf-8", "backslashreplace").decode("utf-8")


def text_line(record: logging.LogRecord) -> str:
    """Return a record as one line for people: level, stage, class, message."""
    mark(record)
    about = " ".join(part for part in (_told(record, "stage"), _told(record, "class_name")) if part)
    clock = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
    return f"{clock} {record.levelname.lower():7} {about + ': ' if about else ''}{record.getMessage()}"


def record_of(line: bytes, run_token: str) -> logging.LogRecord:
    """Return the record that a line of a worker's file holds; ValueError if it holds none."""
    try:
        content = json.loads(line)
        created = datetime.fromisoformat(content["time"]).timestamp()
        level = logging.getLevelNamesMapping()[content["level"].upper()]
        told = {name: str(content[name]) for name in ("logger", "stage", "class", "message", "process")}
        values = {
            "name": told["logger"],
            "levelno": level,
            "levelname": logging.getLevelName(level),
            "msg": told["message"],
            "args": None,
            "created": created,
            "fields": dict(content["fields"]),
            "exc_text": content.get("traceback"),
            "stage": told["stage"],
            "class_name": told["class"],
            "process_name": told["process"],
            "run_token": run_token,
        }
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"no record ({error})") from error
    return logging.makeLogRecord(values)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _told(record: logging.LogRecord, name: str) -> str:
    return str(getattr(record, name, ""))


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it: null for what is not finite, text for what it has no word for."""
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, _PLAIN) else str(value)
