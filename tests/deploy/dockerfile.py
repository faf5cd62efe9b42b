"""As much of the Dockerfile language as the project's own files use."""

import json
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: `COPY`, its flags (`--from=build`) and its arguments."""

    name: str
    flags: tuple[str, ...]
    arguments: str


@dataclass(frozen=True, slots=True)
class Stage:
    """What one FROM begins."""

    instructions: tuple[Instruction, ...]

    def all(self, name: str) -> list[Instruction]:
        """The instructions of this name, in order."""
        return [found for found in self.instructions if found.name == name]

    def only(self, name: str) -> Instruction:
        """The one instruction of this name."""
        (found,) = self.all(name)
        return found

    def exec_form(self, name: str) -> list[str]:
        """The arguments of an instruction that must be written as a JSON list."""
        arguments = self.only(name).arguments.removeprefix("CMD ")
        command = json.loads(arguments)
        assert isinstance(command, list)
        return command

    def copied(self) -> list[tuple[str, str]]:
        """What is copied from the build context: pairs of source and destination."""
        pairs = []
        for copy in self.all("COPY"):
            if not any(flag.startswith("--from") for flag in copy.flags):
                *sources, destination = copy.arguments.split()
                pairs += [(source, destination) for source in sources]
        return pairs


def read(path: Path) -> list[Stage]:
    """Reads the stages of a Dockerfile."""
    lines = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE)
    stages: list[list[Instruction]] = []
    for line in lines.replace("\\\n", " ").splitlines():
        if not line.strip():
            continue
        name, *words = line.split()
        flags = [word for word in words if word.startswith("--")] if name != "RUN" else []
        rest = " ".join(word for word in words if word not in flags)
        if name == "FROM":
            stages.append([])
        if stages:
            stages[-1].append(Instruction(name, tuple(flags), rest))
    return [Stage(tuple(stage)) for stage in stages]
