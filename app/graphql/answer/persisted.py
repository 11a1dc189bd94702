"""Operations known by their hash: those of a folder, and those a client has sent once in full.

A request names one as `extensions.persistedQuery.sha256Hash`, the form that Apollo Client and urql speak."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.errors import QueryError, SettingError
from app.graphql.compile.kept import Kept

SENT_BYTES = 16 * 1024**2


class Persisted:
    """`only`: nothing but the operations of the folder is run, whatever is sent."""

    def __init__(self, folder: str, only: bool) -> None:
        self._listed = _read(Path(folder).expanduser()) if folder else {}
        self.only = only
        if only and not self._listed:
            raise SettingError("operations_only without operations", where=folder, hint="name a folder of .graphql files")
        self._sent: Kept[str, str] = Kept(SENT_BYTES)

    def text(self, query: str | None, extensions: Mapping[str, Any] | None) -> str | None:
        """The operation's text. Raises: QueryError when its hash is not known, or is not its own, or it is not allowed."""
        named = (extensions or {}).get("persistedQuery")
        digest = named.get("sha256Hash") if isinstance(named, Mapping) else None
        if not isinstance(digest, str):
            if self.only and query is not None and _digest(query) not in self._listed:
                self._refuse()
            return query
        if query is None:
            return self._known(digest)
        if _digest(query) != digest:
            raise QueryError("the hash is not that of the query", code="PERSISTED_QUERY_MISMATCH")
        if self.only and digest not in self._listed:
            self._refuse()
        self._sent.put(digest, query, len(query))
        return query

    def _known(self, digest: str) -> str:
        query = self._listed.get(digest) or (None if self.only else self._sent.get(digest))
        if query is None:
            raise QueryError("PersistedQueryNotFound", hint="send the query with its hash", code="PERSISTED_QUERY_NOT_FOUND")
        return query

    def _refuse(self) -> None:
        hint = "only operations of the server's folder are run here"
        raise QueryError("the operation is not on the list", hint=hint, code="OPERATION_NOT_ALLOWED")


def _read(folder: Path) -> dict[str, str]:
    """Raises: SettingError when there is no such folder."""
    if not folder.is_dir():
        raise SettingError("no folder of operations", where=str(folder), hint="TWINGRAPH_OPERATIONS")
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.graphql"))]
    return {_digest(form): form for text in texts for form in (text, text.strip())}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
