"""One thread, no screen, and every annotation of the package checked."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

from jaxtyping import install_import_hook

install_import_hook("ebm_causal", "strict_types.checked")

import torch

torch.set_num_threads(1)
