"""MLflow, without its reports to its makers and without its chatter."""

import logging
import warnings
from types import ModuleType


def load_mlflow() -> ModuleType:
    """MLflow, which takes a second to import; it reports to its makers unless it is told not to.

    Raises:
        ImportError: it is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow
        from mlflow.environment_variables import MLFLOW_DISABLE_TELEMETRY
        from mlflow.telemetry import set_telemetry_client

    if not MLFLOW_DISABLE_TELEMETRY.is_set():  # type: ignore[no-untyped-call]  # not annotated
        MLFLOW_DISABLE_TELEMETRY.set(True)  # type: ignore[no-untyped-call]  # not annotated
        set_telemetry_client()  # type: ignore[no-untyped-call]  # not annotated
    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return mlflow
