"""Which version answers: aliases, the share of a canary, the share that a candidate shadows.

    models/<name>/routing.json
    {"aliases": {"live": "3", "canary": "4"}, "canary_share": 0.05,
     "shadow": {"version": "5", "share": 0.1}}

Every field is optional. Without `live` the highest number is live. A call may name a version by
its number or by an alias; one that names none goes to the live version, or to `canary` in the share
given. Decided without clock or I/O: the random number is an argument.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from inference.errors import ModelInvalid

FILE_NAME = "routing.json"
LIVE, CANARY = "live", "canary"
# One path component, so that no name leaves the repository.
NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MAX_ALIASES = 64


@dataclass(frozen=True, slots=True)
class Routing:
    """How calls of one model are spread over its versions."""

    aliases: Mapping[str, str] = field(default_factory=dict)  # alias -> version
    canary_share: float = 0.0  # in [0, 1], of the calls that name no version
    shadow_version: str = ""  # empty: none
    shadow_share: float = 0.0  # in [0, 1], of the calls that another version answers

    @property
    def pinned(self) -> str:
        """The version that must be live; empty: the highest."""
        return self.aliases.get(LIVE, "")

    @property
    def named(self) -> frozenset[str]:
        """Every version that must be ready because the routing names it."""
        names = {*self.aliases.values()}
        if self.shadow_version and self.shadow_share:
            names.add(self.shadow_version)
        return frozenset(names)

    def version_for(self, asked: str, live: str, random: float) -> str:
        """Chooses the version that answers a call.

        Args:
            asked: what the call names: a version, an alias, or nothing.
            live: the live version.
            random: in [0, 1).

        Returns:
            A version, which need not exist.
        """
        if asked:
            return live if asked == LIVE else self.aliases.get(asked, asked)
        if self.canary_share and random < self.canary_share:
            return self.aliases.get(CANARY, live)
        return live

    def shadows(self, answered: str, random: float) -> bool:
        """Whether a call that this version answered is copied to the candidate.

        Args:
            answered: the version that answered.
            random: in [0, 1).
        """
        return bool(self.shadow_version) and (
            answered != self.shadow_version and random < self.shadow_share
        )


def parse(content: Mapping[str, Any]) -> Routing:
    """Reads a routing.

    Args:
        content: the JSON object.

    Raises:
        ModelInvalid: a field is unknown, of another type or out of its range.
    """
    _only(content, {"aliases", "canary_share", "shadow"}, "")
    aliases = _object(content, "aliases")
    if len(aliases) > _MAX_ALIASES:
        raise ModelInvalid(f"{FILE_NAME}: aliases: {_MAX_ALIASES} at most")
    for alias, version in aliases.items():
        if alias.isdigit() or not NAME_PATTERN.fullmatch(alias):
            raise ModelInvalid(f"{FILE_NAME}: aliases: a name must be a word, not a number")
        _check_version(version, f"aliases.{alias}")
    share = _share(content, "canary_share")
    if share and CANARY not in aliases:
        raise ModelInvalid(f"{FILE_NAME}: canary_share needs an alias {CANARY}")
    shadow = _object(content, "shadow")
    _only(shadow, {"version", "share"}, "shadow.")
    if shadow:
        _check_version(shadow.get("version"), "shadow.version")
    return Routing(
        dict(aliases), share, str(shadow.get("version", "")), _share(shadow, "share", "shadow.")
    )


def version_order(version: str) -> tuple[bool, int, str]:
    """Numbers in their order, and above all other names: the highest is live."""
    number = version.isascii() and version.isdigit()
    return number, int(version) if number else 0, version


def preference(versions: Iterable[str], routing: Routing, live: str) -> list[str]:
    """The versions in the order in which they are to be made live.

    A version that is pinned but cannot be served does not make the highest one live, which may be
    the one that was left for the pinned one: the present one stays.

    Args:
        versions: those that exist.
        routing: of the model.
        live: the present live version; empty: none yet.
    """
    known = sorted(versions, key=version_order, reverse=True)
    if not routing.pinned:
        return known
    first = [v for v in dict.fromkeys((routing.pinned, live)) if v in known]
    return first + [version for version in known if version not in first]


def kept(versions: Iterable[str], routing: Routing, live: str, keep: int) -> frozenset[str]:
    """The versions that stay in memory though nobody asks for them.

    Args:
        versions: those that exist.
        routing: of the model.
        live: the live version.
        keep: how many of the newest, the live one among them; 0: all.
    """
    known = sorted(versions, key=version_order, reverse=True)
    if keep == 0:
        return frozenset(known)
    newest = [version for version in known if version != live][: keep - 1]
    return frozenset({live, *newest, *routing.named})


def _check_version(value: object, place: str) -> None:
    if not isinstance(value, str) or not NAME_PATTERN.fullmatch(value):
        raise ModelInvalid(f'{FILE_NAME}: {place}: must be a version such as "3"')


def _only(content: Mapping[str, Any], known: set[str], place: str) -> None:
    if unknown := sorted(content.keys() - known):
        raise ModelInvalid(f"{FILE_NAME}: {place}{unknown[0][:64]}: no such field")


def _object(content: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = content.get(name, {})
    if not isinstance(value, dict):
        raise ModelInvalid(f"{FILE_NAME}: {name}: must be an object")
    return value


def _share(content: Mapping[str, Any], name: str, place: str = "") -> float:
    value = content.get(name, 0.0)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ModelInvalid(f"{FILE_NAME}: {place}{name}: must be from 0 to 1")
    return float(value)
