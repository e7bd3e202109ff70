"""Storages that the workers of a search share: a journal file, or a database."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import optuna

from pennyweight.core.errors import InputError, RunError, nearest
from pennyweight.core.reading import reason_of
from pennyweight.search.journal import Journal, require_journal

__all__ = ["open_storage", "without_password", "working_storage"]

OPEN_WITHIN_S = 10
"""Seconds after which a server that does not answer counts as one that cannot be reached."""
TIMEOUTS: Mapping[str, str] = {
    "psycopg": "connect_timeout",
    "psycopg2": "connect_timeout",
    "pymysql": "connect_timeout",
    "mysqldb": "connect_timeout",
    "mysqlconnector": "connection_timeout",
    "pg8000": "timeout",
}
"""Driver of a database -> its argument for the seconds in which a connection opens."""
TABLE_TRIES = 5
"""Times that a database is opened while other workers make its tables."""
DATABASES = ("postgresql", "mysql", "mariadb", "sqlite")
PACKAGES = {"MySQLdb": "mysqlclient", "mysql": "mysql-connector-python"}
"""Module of a driver -> package that has it, where the names differ."""
RESERVED = re.compile(r"[@/?#\[\]]")
"""Characters that a password in an address has as %XX."""


def open_storage(place: str, *, option: str = "") -> Any:
    """Open the storage of a study: a database for an address with ://, else a journal file.

    Args:
        place: Address or path.
        option: Option that named the place, for the message of an error.

    Raises:
        InputError: The storage cannot be reached, or is something else.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        return _open_database(place) if "://" in place else _open_journal(Path(place))
    except Exception as error:  # of the database's driver, which may be any
        raise InputError(
            f"{option} {without_password(place)} cannot be opened: {_why(error, place)}".lstrip()
        ) from error


@contextmanager
def working_storage(place: str) -> Iterator[None]:
    """Convert errors of a storage that no longer answers to RunError; what has ended is kept in the storage."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        raise RunError(
            f"{without_password(place)} no longer answers: {_why(error, place)}; trials that have ended are kept, and "
            "the same command resumes"
        ) from error


def without_password(place: str) -> str:
    """Return an address without the password in it."""
    scheme, mark, rest = place.partition("://")
    if not mark:
        return place
    user, at, where = rest.rpartition("@")
    where = re.sub(r"(?i)([?&][^=&]*(?:pass|pwd|secret|token|key)[^=&]*)=[^&]*", r"\1=…", where)
    return f"{scheme}{mark}{user.partition(':')[0]}{at}{where}"


def _open_journal(path: Path) -> Any:
    if path.exists():
        require_journal(path)
    return optuna.storages.JournalStorage(Journal(path.absolute()))


def _open_database(place: str) -> Any:
    """Open a database; again where another worker made its tables at the same moment."""
    import sqlalchemy
    from sqlalchemy.pool import NullPool  # no connection stays open during a training

    address = sqlalchemy.make_url(place)
    settings: dict[str, Any] = {"poolclass": NullPool}
    timeout = TIMEOUTS.get(address.get_driver_name())
    if timeout is not None and timeout not in address.query:
        settings["connect_args"] = {timeout: OPEN_WITHIN_S}
    with sqlalchemy.create_engine(place, **settings).connect():  # the error of a server that cannot be reached
        pass
    for _ in range(TABLE_TRIES - 1):
        try:
            return optuna.storages.RDBStorage(place, engine_kwargs=settings)
        except Exception:  # also an assertion of optuna, where the tables are there and their version is not yet
            time.sleep(1)
    return optuna.storages.RDBStorage(place, engine_kwargs=settings)


def _why(error: BaseException, place: str) -> str:
    """Return one line on why a storage does not answer, without the password."""
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    while isinstance(error, (optuna.exceptions.StorageInternalError, ImportError)) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, NoSuchModuleError):
        return f"no such kind of database{nearest(place.partition('://')[0], DATABASES)}"
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"its driver is not installed: pip install {PACKAGES.get(error.name, error.name)}"
    secret = _password(place)
    if RESERVED.search(secret):
        return "its password has a character that an address writes as %XX, such as %40 for @"
    if isinstance(error, ArgumentError):
        return "it is no address such as postgresql+psycopg://user:password@host/database"
    if isinstance(error, OSError):
        return reason_of(error)
    first, *others = [line.strip(" -\t") for line in str(error).splitlines() if line.strip()] or [reason_of(error)]
    line = f"{first} {others[0]}" if first.endswith(":") and others else first
    line = re.sub(r"^\([\w.]+\) ", "", line).replace(place, without_password(place))
    for word in {secret, unquote(secret)} - {""}:
        line = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", "…", line)
    return line


def _password(place: str) -> str:
    """Return the password of an address, as it stands there; empty for none."""
    return place.partition("://")[2].rpartition("@")[0].partition(":")[2]
