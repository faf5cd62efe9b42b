"""The ONNX session that turns token ids into label scores."""

from pathlib import Path
from typing import Self

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from inference.errors import ModelInvalid

_IDS, _MASK, _TYPES = "input_ids", "attention_mask", "token_type_ids"
_WARNINGS_AND_ABOVE_HIDDEN = 3


class Session:
    """One model's weights, shared by every worker: concurrent runs are safe.

    Args:
        path: the file that it was loaded from.
        session: an onnxruntime session with inputs `input_ids`, `attention_mask` and perhaps
            `token_type_ids`, int64 [batch, tokens], and one output float32 [batch, tokens, labels].
        labels: how many labels the output must have.
    """

    def __init__(self, path: Path, session: ort.InferenceSession, labels: int) -> None:
        self._path = path
        self._session = session
        self._labels = labels
        self._needs_types = _TYPES in {node.name for node in session.get_inputs()}
        self._output = [session.get_outputs()[0].name]

    @classmethod
    def load(cls, path: Path, threads: int, labels: int) -> Self:
        """Loads an ONNX file.

        Args:
            path: the file.
            threads: cores that one run uses; at least 1.
            labels: how many labels the model must score.

        Raises:
            ModelInvalid: the file is not a token classifier that onnxruntime can run.
        """
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _WARNINGS_AND_ABOVE_HIDDEN
        # Memory is planned per input shape and kept: with free lengths that grows without end.
        options.enable_mem_pattern = False
        # A spinning thread takes the core from the worker beside it.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            # By its path, for weights in files beside it are found from there.
            session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors share no base but Exception
            raise ModelInvalid(f"{path.name}: onnxruntime cannot load it: {error}") from error
        inputs = {node.name for node in session.get_inputs()}
        if not {_IDS, _MASK} <= inputs <= {_IDS, _MASK, _TYPES}:
            raise ModelInvalid(
                f"{path.name}: inputs must be {_IDS}, {_MASK} and at most {_TYPES},"
                f" not {', '.join(sorted(inputs))}"
            )
        return cls(path, session, labels)

    def with_threads(self, threads: int) -> Self:
        """The same model with so many cores for each run: this one if it has so many.

        Raises:
            ModelInvalid: the file has gone.
        """
        if self._session.get_session_options().intra_op_num_threads == threads:
            return self
        return self.load(self._path, threads, self._labels)

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """Scores every label for every token.

        Args:
            ids: int64 [batch, tokens], padded with any id.
            mask: int64 [batch, tokens], 1 for a token and 0 for padding.

        Returns:
            Logits, float32 [batch, tokens, labels].

        Raises:
            RuntimeError: the run failed, or its output has another shape.
        """
        feed = {_IDS: ids, _MASK: mask}
        if self._needs_types:
            feed[_TYPES] = np.zeros_like(ids)
        logits: NDArray[np.float32] = self._session.run(self._output, feed)[0]
        if logits.shape != (*ids.shape, self._labels):
            raise RuntimeError(f"logits {logits.shape} for {ids.shape}, {self._labels} labels")
        return logits
