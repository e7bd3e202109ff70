"""Endings of the files that hold many pictures or name them; knowing them loads no reader."""

__all__ = ["ARCHIVES", "TABLES"]

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
TABLES = (".csv", ".tsv", ".jsonl", ".parquet")
