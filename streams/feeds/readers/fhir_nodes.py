"""FHIR resources alike, whether they came as JSON or as XML: elements by name, texts of primitives."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from xml.etree.ElementTree import Element


class Node(Protocol):
    """One element of a resource, its parts by FHIR's names; what is absent is an empty sequence or text."""

    @property
    def kind(self) -> str:
        """Type of a resource, such as ``Patient``; empty where it does not say."""
        ...

    def many(self, name: str) -> "Sequence[Node]":
        """Elements of a name."""
        ...

    def text(self, name: str) -> str:
        """Primitive of a name as it is written; empty for what is no text and no number."""
        ...


def one(node: Node | None, name: str) -> Node | None:
    """Return the first element of a name, or None."""
    found = () if node is None else node.many(name)
    return found[0] if found else None


def text(node: Node | None, name: str) -> str:
    """Return the primitive of a name, stripped; empty without the node."""
    return "" if node is None else node.text(name).strip()


@dataclass(frozen=True, slots=True)
class JsonNode:
    """An object of FHIR JSON."""

    members: dict[str, Any]

    @property
    def kind(self) -> str:
        """Type of the resource."""
        return self.text("resourceType")

    def many(self, name: str) -> Sequence[Node]:
        """Elements of a name."""
        found = self.members.get(name)
        listed = found if isinstance(found, list) else [found]
        return [JsonNode(member) for member in listed if isinstance(member, dict)]

    def text(self, name: str) -> str:
        """Primitive of a name."""
        found = self.members.get(name)
        if isinstance(found, bool) or not isinstance(found, str | int | float):
            return ""
        return str(found)


@dataclass(frozen=True, slots=True)
class XmlNode:
    """An element of FHIR XML, parsed by :func:`streams.feeds.readers.xml.parse_xml`: names in lower case."""

    element: Element
    name: str = ""

    @property
    def kind(self) -> str:
        """Type of the resource."""
        return _KINDS.get(self.element.tag, self.element.tag)

    def many(self, name: str) -> Sequence[Node]:
        """Elements of a name."""
        found = [child for child in self.element if child.tag == name.lower()]
        if name in _HOLDERS:  # in XML, a resource stands within the element that holds it
            found = [resource for holder in found for resource in holder]
        return [XmlNode(child) for child in found]

    def text(self, name: str) -> str:
        """Primitive of a name."""
        child = self.element.find(name.lower())
        return "" if child is None else (child.get("value") or "")


_HOLDERS = frozenset({"resource", "contained"})
_KINDS = {kind.lower(): kind for kind in ("Bundle", "Observation", "Patient", "Device")}
