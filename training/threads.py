"""Threads: as many cores as a command was given, for all that computes in this process.

A session of onnxruntime is given its own when it is loaded.
"""

import torch
from threadpoolctl import threadpool_limits


def keep_to(threads: int) -> None:
    """Lets PyTorch, and NumPy's products, use so many cores from now on.

    NumPy's library would take every core there is, whatever was asked for, and where something
    else runs on them its threads wait for each other longer than they work.

    Args:
        threads: at least 1.
    """
    torch.set_num_threads(threads)
    threadpool_limits(threads, "blas")
