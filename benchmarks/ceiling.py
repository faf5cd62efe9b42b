"""The raw ceiling: the same model on the same cores, in process, without a server.

Tokenize, run, decode; sorted by length, so that almost nothing is padding; the best of the ways to
share the cores. All figures are ratios to it. Machines drift, so it is measured right before and
right after each scenario; the setting is chosen once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Self

from benchmarks.in_process import Batching, InProcess, Speed
from inference.cores import usable_cores

_BATCHINGS = (
    Batching(rows=1), Batching(rows=8), Batching(rows=32),
    Batching(padded_tokens=256), Batching(padded_tokens=512), Batching(padded_tokens=1024),
)  # fmt: skip
# The search is short, so the best settings of it are compared again on the whole corpus.
_FINALISTS = 3
_ALONE_TEXTS = 300


@dataclass(frozen=True, slots=True)
class Setting:
    """A way to share the cores."""

    workers: int
    threads_per_worker: int
    batching: Batching


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The most that the cores do with a corpus, in one setting."""

    workers: int
    threads_per_worker: int
    batching: str
    texts_per_s: list[float]  # one for each time that it was measured
    cpu_s_per_1000: list[float]  # processor seconds for 1,000 texts, likewise

    @property
    def rate_per_s(self) -> float:
        """Texts a second: the mean of the measurements."""
        return mean(self.texts_per_s)


@dataclass(frozen=True, slots=True)
class Alone:
    """One text at a time: medians, one for each time that it was measured, in milliseconds."""

    one_thread_p50_ms: list[float]
    all_cores_p50_ms: list[float]

    @property
    def best_p50_ms(self) -> float:
        """What a caller in this process would wait: the better of the two."""
        return min(mean(self.one_thread_p50_ms), mean(self.all_cores_p50_ms))


class CeilingMeter:
    """Measures the ceilings of some corpora, again and again in the settings found at first.

    Args:
        models: the model, once for each way to share the cores: by workers and threads.
        corpora: texts by the name of their corpus; `sentences` must be among them.
    """

    def __init__(
        self, models: Mapping[tuple[int, int], InProcess], corpora: Mapping[str, Sequence[str]]
    ) -> None:
        self._models = models
        self._corpora = corpora
        self._settings: dict[str, Setting] = {}
        self._speeds: dict[str, list[Speed]] = {name: [] for name in corpora}
        self._alone: list[tuple[float, float]] = []

    @classmethod
    def load(cls, models: Path, window_tokens: int, corpora: Mapping[str, Sequence[str]]) -> Self:
        """Loads the default model of a repository, with windows as the service has them."""
        cores = usable_cores()
        shares = {(workers, cores // workers) for workers in (1, max(1, cores // 2), cores)}
        loaded = {share: InProcess.load(models, window_tokens, *share) for share in sorted(shares)}
        return cls(loaded, corpora)

    @property
    def model(self) -> str:
        """The model that is measured and its version, as `ner-en/12`."""
        return next(iter(self._models.values())).name

    def search(self, share: float) -> None:
        """Finds the setting that answers each corpus fastest.

        Args:
            share: of each corpus, with which every setting is tried.
        """
        settings = [Setting(*cores, one) for cores in self._models for one in _BATCHINGS]
        for name, texts in self._corpora.items():
            sample = texts[: max(1, int(len(texts) * share))]
            ranked = sorted(settings, key=lambda one: self._rate(one, sample), reverse=True)
            self._settings[name] = max(
                ranked[:_FINALISTS],
                key=lambda one: self._rate(one, texts),
            )

    def measure(self, corpus: str) -> None:
        """Measures a corpus once more."""
        speed = self._run(self._settings[corpus], self._corpora[corpus])
        self._speeds[corpus].append(speed)

    def measure_all(self) -> None:
        """Measures every corpus, and single sentences, once more."""
        for name in self._corpora:
            self.measure(name)
        sample = self._corpora["sentences"][:_ALONE_TEXTS]
        one_thread = max(self._models, key=lambda share: share[0])
        all_cores = min(self._models, key=lambda share: share[0])
        self._alone.append(
            (
                self._models[one_thread].alone_p50_ms(sample),
                self._models[all_cores].alone_p50_ms(sample),
            )
        )

    def ceilings(self) -> dict[str, Ceiling]:
        """What was measured so far, by corpus."""
        return {name: self._ceiling(name, speeds) for name, speeds in self._speeds.items()}

    def last_two(self, corpus: str) -> Ceiling:
        """The ceiling right before and right after a scenario that was just measured."""
        return self._ceiling(corpus, self._speeds[corpus][-2:])

    def _ceiling(self, corpus: str, speeds: Sequence[Speed]) -> Ceiling:
        one = self._settings[corpus]
        return Ceiling(
            one.workers,
            one.threads_per_worker,
            str(one.batching),
            [speed.texts_per_s for speed in speeds],
            [speed.cpu_s_per_1000 for speed in speeds],
        )

    def alone(self) -> Alone:
        """What single sentences took so far."""
        return Alone([one for one, _ in self._alone], [every for _, every in self._alone])

    def _rate(self, setting: Setting, texts: Sequence[str]) -> float:
        return self._run(setting, texts).texts_per_s

    def _run(self, setting: Setting, texts: Sequence[str]) -> Speed:
        model = self._models[setting.workers, setting.threads_per_worker]
        return model.run(texts, setting.batching)
