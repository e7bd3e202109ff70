"""Write the table of networks into docs/networks.md from VARIANTS; with --check, fail if the table is out of date."""

import sys
from pathlib import Path

from pennyweight import zoo

PAGE = Path(__file__).parent / "networks.md"
BEGIN, END = "<!-- networks: begin -->\n", "<!-- networks: end -->\n"


def table() -> str:
    """Return the rows as Markdown."""
    lines = [
        "| name | parameters | MACs | input | classes | top-1, published | weights | from |",
        "| --- | ---: | ---: | --- | ---: | ---: | --- | --- |",
    ]
    for name in zoo.names():
        row = zoo.variant(name)
        top1 = f"{row.top1}%" if row.top1 else "–"
        shape = "×".join(map(str, row.input_shape))
        weights = "yes" if zoo.tags(name) else "–"
        lines.append(
            f"| `{name}` | {row.params:,} | {row.macs:,} | {shape} | {row.num_classes} | {top1} | {weights} "
            f"| {row.paper} |"
        )
    return "\n".join(lines) + "\n"


text = PAGE.read_text(encoding="utf-8")
head, rest = text.split(BEGIN)
_, tail = rest.split(END)
updated = head + BEGIN + table() + END + tail
if "--check" in sys.argv:
    if updated != text:
        sys.exit("docs/networks.md: the table of networks is out of date; run `make docs`")
else:
    PAGE.write_text(updated, encoding="utf-8")
