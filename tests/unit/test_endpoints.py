"""What the two ends of an interpolation mean, for names that are hard to tell apart."""

import pytest

from riemaug.errors import InvalidInputError
from riemaug.run.endpoints import Endpoint, resolve_endpoints

TRICKY = {
    "a": ["a/1.png", "a/b:0.png", "a/12"],
    "a:b": ["a:b/1.png", "a:b/2.png"],
    "7": ["7/3", "7/4", "7/5", "7/6"],
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a/b:0.png", Endpoint("a", 1, "a/b:0.png")),
        ("b:0.png", Endpoint("a", 1, "a/b:0.png")),
        ("a:b:1", Endpoint("a:b", 1, "a:b/2.png")),
        ("a:b/2.png", Endpoint("a:b", 1, "a:b/2.png")),
        ("a:b:2.png", Endpoint("a:b", 1, "a:b/2.png")),
        ("a:1", Endpoint("a", 1, "a/b:0.png")),
        ("a:1.png", Endpoint("a", 0, "a/1.png")),
        ("a:12", Endpoint("a", 2, "a/12")),  # a file of that name goes before an index
        ("7:3", Endpoint("7", 0, "7/3")),
        ("7:2", Endpoint("7", 2, "7/5")),
        ("7:@-1,2.5e0", Endpoint("7", coordinates=(-1.0, 2.5))),
    ],
)
def test_names_with_colons_and_digits(text: str, expected: Endpoint) -> None:
    other = "a:0" if expected.class_name == "a" and expected.index != 0 else f"{expected.class_name}:@9,9"
    assert resolve_endpoints(text, other, TRICKY)[0] == expected
    assert resolve_endpoints(other, text, TRICKY)[1] == expected


def test_a_name_in_two_classes_is_clear_once_the_other_end_says_which() -> None:
    # not guessed: a file name that fits two classes must be given with one
    with pytest.raises(InvalidInputError, match="'1.png' fits"):
        resolve_endpoints("1.png", "a:b:1", TRICKY)
    assert resolve_endpoints("1", "a:b:0", TRICKY)[0] == Endpoint("a:b", 1, "a:b/2.png")


def test_the_classes_are_named_in_a_refusal_but_not_all_of_many() -> None:
    many = {f"class {i}": ["x.png"] for i in range(40)}
    with pytest.raises(InvalidInputError, match="'class 4', ...") as caught:
        resolve_endpoints("nonsense", "class 1:0", many)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
