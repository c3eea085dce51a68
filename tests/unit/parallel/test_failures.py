from riemaug.errors import ResourceLostError, RiemaugError, TrainingError
from riemaug.parallel.failures import combined, poisoned


def test_a_single_failure_stays_what_it_was():
    error = TrainingError("class 'a': it diverged")
    assert combined([("class 'a'", error)], 3) is error


def test_several_of_a_kind_are_one_line_of_that_kind_that_names_each():
    failures = [
        ("class 'a'", TrainingError("class 'a': it diverged")),
        ("class 'b'", TrainingError("no end")),
    ]
    error = combined(failures, 5)
    assert type(error) is TrainingError
    assert str(error) == (
        "2 of 5 tasks failed, the others are done: class 'a': it diverged; class 'b': no end"
    )


def test_several_of_different_kinds():
    error = combined([("a", TrainingError("x")), poisoned("class 'b'", 3)], 2)
    assert type(error) is RiemaugError
    assert "a: x" in str(error)
    assert "class 'b' has ended it 3 times" in str(error)
    assert isinstance(poisoned("b", 3)[1], ResourceLostError)


def test_what_nobody_foresaw_is_raised_with_the_others_as_notes():
    unforeseen = KeyError("lost")
    error = combined([("a", TrainingError("x")), ("b", unforeseen), ("c", ZeroDivisionError("y"))], 4)
    assert error is unforeseen
    assert error.__notes__ == [
        "raised by b",
        "also failed: a: x",
        "also failed: c: ZeroDivisionError: y",
    ]
