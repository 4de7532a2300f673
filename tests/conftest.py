"""One thread, no screen, and every annotation of the package checked."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

from jaxtyping import config, install_import_hook

install_import_hook("ebm_causal", "strict_types.checked")

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture
def unchecked():
    """Let a test hand over what annotations forbid, as callers without a type checker do."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)
