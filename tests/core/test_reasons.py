"""Lists that grow with the data are said by reason, in a few lines of bounded length."""

import pytest

from pennyweight.core.reasons import MOST_REASONS, Reasons, by_reason, doctor_lists, few, reason_alone, such_as

POINTER = "it is a Git LFS pointer, not a picture that is read here; git lfs pull fetches the picture"


def test_thousands_of_pictures_with_a_reason_are_a_line() -> None:
    lost = [(f"cat/{n}.jpg", f"cannot read /data/cat/{n}.jpg: {POINTER}") for n in range(4829)]
    assert by_reason(lost, "left out: ", listed="run.json lists all of them") == [
        f"left out: 4,829 pictures, such as cat/0.jpg, cat/1.jpg and cat/2.jpg: {POINTER}",
        "run.json lists all of them",
    ]


def test_a_single_picture_keeps_its_whole_reason() -> None:
    lost = [("a.png", "cannot read /data/a.png: it is empty")]
    assert by_reason(lost, "left out: ", listed="run.json lists all of them") == ["left out: " + lost[0][1]]
    assert by_reason(lost, "cannot read ", one="") == [lost[0][1]]
    assert by_reason([], "left out: ", listed="never") == []


def test_the_most_frequent_reason_is_first() -> None:
    lost = [("a", "cannot read a: torn"), *((name, f"cannot read {name}: empty") for name in "bcde")]
    assert by_reason(lost, "left out: ", listed="all: run.json") == [
        "left out: 4 pictures, such as b, c and d: empty",
        "left out: cannot read a: torn",
        "all: run.json",
    ]


def test_no_list_is_named_where_every_picture_is() -> None:
    lost = [(name, f"cannot read {name}: empty") for name in "ab"]
    assert by_reason(lost, "left out: ", listed="never") == ["left out: 2 pictures, such as a and b: empty"]


def test_numbers_and_names_in_reasons_make_no_reasons_of_their_own() -> None:
    lost = [(f"{n}.png", f"cannot read {n}.png: '{n}.png' has {n:,} bytes of 9.5") for n in range(900, 1100)]
    (line,) = by_reason(lost, "left out: ")
    assert line == "left out: 200 pictures, such as 900.png, 901.png and 902.png: '900.png' has 900 bytes of 9.5"


def test_many_reasons_share_a_line() -> None:
    words = [f"{one}{other}" for one in "abcdef" for other in "ghijkl"]
    lost = [(str(number), f"cannot read {number}: {word}") for number, word in enumerate(words)]
    lines = by_reason(lost, "left out: ", listed="run.json")
    assert len(lines) == MOST_REASONS + 2
    rest = len(lost) - MOST_REASONS
    assert lines[-2:] == [f"left out: {rest} pictures for {rest} other reasons, such as: {lost[-rest][1]}", "run.json"]


def test_three_names_are_kept_however_many_come() -> None:
    reasons = Reasons("member")
    for number in range(10_000):
        reasons.add(str(number), "it is a link")
    assert reasons.count == 10_000
    assert [len(case.names) for case in reasons._cases.values()] == [3]
    assert reasons.lines("refused ") == ["refused 10,000 members, such as 0, 1 and 2: it is a link"]


@pytest.mark.parametrize(
    ("names", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c", "d"], "a, b and c")]
)
def test_examples_read_as_a_list(names: list[str], text: str) -> None:
    assert such_as(names) == text


@pytest.mark.parametrize(
    ("name", "reason", "alone"),
    [
        ("a/b.png", "cannot read /x/a/b.png: it is empty", "it is empty"),
        ("b.png", "cannot read b.png: not: one", "not: one"),
        ("key", "key has no picture", "has no picture"),
        ("a", "no picture at /x/a", "no picture at /x/a"),
        ("a", "5 pictures of a that run was trained on", "5 pictures of a that run was trained on"),
        ("", "it is empty", "it is empty"),
        ("gone", "cannot read other: it is empty", "cannot read other: it is empty"),
    ],
)
def test_a_reason_stands_without_the_name_that_it_begins_with(name: str, reason: str, alone: str) -> None:
    assert reason_alone(name, reason) == alone


def test_a_command_quotes_its_address() -> None:
    assert doctor_lists("/my pictures") == "`pennyweight doctor '/my pictures' --json` lists all of them"
    assert doctor_lists("") == "`pw.doctor` lists all of them"


def test_few_of_many_names_are_listed() -> None:
    assert few(["a", "b"]) == "a, b"
    assert few([str(number) for number in range(1500)], 2) == "0, 1 and 1,498 more"


def test_pictures_that_were_read_and_have_no_answer_are_not_called_unreadable() -> None:
    """A refused stranger, or an answer of NaN; the name of the first picture is no part of the others' reason."""
    reasons = Reasons()
    for name in "abcd":
        reasons.add(f"{name}.png", f"no prediction for {name}.png: it is unlike anything")
    reasons.add("e.png", "cannot read e.png: it is empty")
    assert reasons.lines("cannot read ", one="") == [
        "no prediction for 4 pictures, such as a.png, b.png and c.png: it is unlike anything",
        "cannot read e.png: it is empty",
    ]
    assert (reasons.count, reasons.unanswered) == (5, 4)
    assert reasons.in_words == "4 without a prediction, 1 could not be read"
    assert Reasons().in_words == ""
    for number in range(24):
        reasons.add(f"{number}.png", f"cannot read {number}.png: {chr(ord('a') + number % 12)}")
    reasons.add("f.png", "no prediction for f.png: the network gives NaN or infinity")
    lines = reasons.lines("cannot read ", one="")
    assert lines[1] == "no prediction for f.png: the network gives NaN or infinity"
    assert lines[-1].startswith("cannot read 9 pictures for 5 other reasons, such as: cannot read ")


@pytest.mark.parametrize(("shares", "end"), [((1, 1), " (1.00% typical)"), ((1, 2), "")])
def test_a_figure_of_the_first_picture_is_not_said_of_the_others(shares: tuple[int, int], end: str) -> None:
    lost = [
        (f"{n}.png", f"no prediction for {n}.png: it is unlike ({share}.00% typical)") for n, share in enumerate(shares)
    ]
    assert by_reason(lost, "cannot read ") == [
        f"no prediction for 2 pictures, such as 0.png and 1.png: it is unlike{end}"
    ]
