"""Sizes as people write them."""

import pytest

from pennyweight.core.errors import InputError
from pennyweight.core.sizes import parse_size


@pytest.mark.parametrize(
    ("text", "count"),
    [("256MB", 256_000_000), ("1.5 GB", 1_500_000_000), ("64MiB", 64 << 20), ("512k", 512_000), (100, 100), ("7b", 7)],
)
def test_a_size_is_read_as_people_write_it(text: str | int, count: int) -> None:
    assert parse_size(text, "shard_size") == count


@pytest.mark.parametrize("text", ["", "MB", "-1MB", "0", "3 apples", "1e9", True])
def test_what_is_no_size_is_named_with_its_option(text: str) -> None:
    with pytest.raises(InputError, match="shard_size is a size such as 256MB or 1GB, not "):
        parse_size(text, "shard_size")
