"""What a source delivers: bytes, with the files that belong to them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Document:
    """One delivered ECG, unread.

    Attributes
    ----------
    content : bytes
        The file or message part itself.
    name : str
        As the source calls it; only its suffix is ever looked at. Often made of the patient's name or number,
        so it goes into no log, metric, header or error text.
    companions : mapping
        Files that belong to it, by name: the signal files of a WFDB header.
    """

    content: bytes
    name: str = ""
    companions: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def n_bytes(self) -> int:
        """Size of all its files."""
        return len(self.content) + sum(len(companion) for companion in self.companions.values())

    @property
    def suffix(self) -> str:
        """Suffix of its name, lower case with the dot; empty when it has none."""
        stem, dot, suffix = self.name.rpartition(".")
        return f".{suffix.lower()}" if dot and stem and "/" not in suffix else ""

    def digest(self) -> str:
        """SHA-256 over the content, then over each companion with its name; its own name does not count.

        >>> Document(content=b"x", name="a.xml").digest() == Document(content=b"x", name="b.xml").digest()
        True
        """
        whole = hashlib.sha256(self.content)
        for name in sorted(self.companions):
            said = f"\0{len(name)}:{name}:{len(self.companions[name])}\0"
            whole.update(said.encode("utf-8", "surrogatepass"))  # file systems allow any bytes in a name
            whole.update(self.companions[name])
        return whole.hexdigest()
