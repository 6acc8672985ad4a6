"""Gradients over processes and chunks against those of one big batch, for each objective."""

import subprocess
import sys

import pytest
import torch

from tests.towers.checkpoints import PRECISIONS, made_towers, write_clip

WORDS = ("clip", "clip@80", "siglip@80", "soft@80", "clip@80+lora")
RANKS, CHUNKS = 4, ("0", "4")  # of six spots a process
# of the largest gradient of a weight; float32 rounds the products of a batch and of its parts differently
WITHIN = {"float64": 1e-6, "float32": 1e-5}


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> str:
    return str(write_clip(tmp_path_factory.mktemp("clip") / "clip"))


@pytest.fixture(scope="module")
def gradients(clip, tmp_path_factory) -> dict:
    """Loss and gradients, by word, precision and chunk, as processes of their own find them."""
    command = ["-m", "torch.distributed.run", "--nproc_per_node", str(RANKS), "--master_port", "0", "--standalone"]
    program = ["-m", "tests.towers.checkpoints", clip, str(out := tmp_path_factory.mktemp("found") / "found.pt")]
    done = subprocess.run(
        [sys.executable, *command, *program, " ".join(WORDS), *CHUNKS], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return torch.load(out)


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("precision", WITHIN)
def test_gradients_are_those_of_one_big_batch(clip, gradients, word, precision):
    """Of both encoders, the logit scale and the bias: on four processes, whole and in chunks."""
    towers, told, objective = made_towers(clip, word, PRECISIONS[precision])
    images, genes, *scalars = towers(told["images"], expression=told["expression"])
    loss, within = objective(images, genes, scalars, told), WITHIN[precision]
    loss.backward()
    want = {name: weight.grad for name, weight in towers.named_parameters() if weight.requires_grad}
    most = max(gradient.abs().max() for gradient in want.values())
    for found in (gradients[word, precision, chunk] for chunk in CHUNKS):
        assert found["ranks"] == RANKS and found["gradients"].keys() == want.keys()
        assert found["loss"].item() == pytest.approx(loss.item(), rel=within)
        for name, gradient in want.items():
            blind = "k_proj.bias" in name  # softmax does not see it: its gradient is rounding alone
            most_of_it = most if blind else gradient.abs().max()
            assert (found["gradients"][name] - gradient).abs().max() <= within * most_of_it, name
