"""What run.json says of how data were read, once they or the reader have moved."""

from riemaug.limits import DEFAULT_LIMITS
from riemaug.run.request import ReadOptions
from riemaug.run.run_file import reading_of
from riemaug.run.training_set import REREAD


def test_the_advice_on_other_data_names_every_option_that_changes_what_is_read():
    named = {name.replace("_", "-") for name in ReadOptions.model_fields} - {"layout", "limits"}
    assert not {name for name in named if f"--{name}" not in REREAD}


def test_participants_are_sought_from_where_the_run_was_started(tmp_path):
    told = tmp_path / "tables" / "raw.tsv"
    run = {"request": {"data": "in", "reading": {"participants": "tables/raw.tsv", "nan": 0.0}}}
    reading = reading_of(run, tmp_path / "out", DEFAULT_LIMITS)
    assert str(reading.participants) == "tables/raw.tsv"
    told.parent.mkdir()
    told.write_text("")
    reading = reading_of(run, tmp_path / "out", DEFAULT_LIMITS)
    assert reading.participants == told
    assert reading.nan == 0.0
