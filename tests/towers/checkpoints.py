"""Small CLIP checkpoints with random weights, and a program for several processes."""

import json
import sys
from itertools import product
from pathlib import Path

import torch
from torch import nn
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from stimage.training.objectives import Objective


def write_clip(folder: Path, seed: int = 0) -> Path:
    """Save a CLIP of two small towers with its tokenizer of single characters."""
    folder.mkdir(parents=True)
    characters = [chr(c) for c in range(33, 127)]
    tokens = [*characters, *(f"{c}</w>" for c in characters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    CLIPTokenizer.from_pretrained(folder, model_max_length=77).save_pretrained(folder)
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {"vocab_size": len(tokens), "bos_token_id": len(tokens) - 2, "eos_token_id": len(tokens) - 1}
    torch.manual_seed(seed)
    config = CLIPConfig(
        vision_config={**tower, "image_size": 32, "patch_size": 8}, text_config={**tower, **text}, projection_dim=24
    )
    CLIPModel(config).save_pretrained(folder)
    return folder


def batch(n: int, genes: int, size: int = 32) -> dict[str, torch.Tensor]:
    """Return n made patches and expression."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (n, size, size, 3), dtype=torch.uint8, generator=generator)
    row = torch.arange(n)
    return {"images": images, "expression": torch.randn(n, genes, generator=generator), "row": row % (n - 1),
            "slide": row % 2, "place": torch.rand(n, 2, generator=generator) * 300}  # fmt: skip


def objective_called(word: str) -> Objective:
    """Return the objective of a word such as "siglip" or "clip@80", in µm, whatever follows a +."""
    kind, _, near = word.partition("+")[0].partition("@")
    return Objective(kind, float(near) if near else None)


PRECISIONS = {"float32": torch.float32, "float64": torch.float64}


def made_towers(checkpoint: str, word: str, precision: torch.dtype) -> tuple[nn.Module, dict, Objective]:
    """Return two towers, with LoRA if a word has +lora, a batch of 24 in a precision, and the word's objective."""
    from stimage.towers.two_towers import gene_towers
    from stimage.training.optimizer import choose_tuned
    from stimage.training.settings.groups import TowerSettings

    torch.manual_seed(0)
    objective, told = objective_called(word), batch(24, 3)
    towers = gene_towers(checkpoint, ["A", "B", "C"], "linear", 8, scalars=objective.scalars)
    if word.endswith("+lora"):
        choose_tuned(towers, TowerSettings(lora_rank=4))
        for name, weight in towers.named_parameters():
            if ".lora_B." in name:  # which begins at 0, so that the other one has no gradient
                nn.init.normal_(weight, std=0.1)
    told["expression"] = told["expression"].to(precision)
    return towers.to(precision), told, objective


def save_gradients(checkpoint: str, out: str, words: str, *chunks: str) -> None:
    """Save, by word, precision and chunk, the loss and all gradients of a batch of which each process has a share."""
    from accelerate import Accelerator

    from stimage.training.contrastive import backward

    accelerator, found = Accelerator(cpu=True), {}
    rank, ranks = accelerator.process_index, accelerator.num_processes
    for word, precision in product(words.split(), PRECISIONS):
        towers, told, objective = made_towers(checkpoint, word, PRECISIONS[precision])
        towers = accelerator.prepare(towers)
        share = {name: part[rank::ranks] for name, part in told.items()}
        for chunk in chunks:
            towers.zero_grad()
            loss = backward(accelerator, towers, share, int(chunk) or None, objective)
            weights = accelerator.unwrap_model(towers).named_parameters()
            gradients = {name: weight.grad.clone() for name, weight in weights if weight.requires_grad}
            found[word, precision, chunk] = {"loss": loss, "ranks": ranks, "gradients": gradients}
    if accelerator.is_main_process:
        torch.save(found, out)
    del towers
    accelerator.free_memory()  # processes that leave the group while DDP is there wait for ever
    accelerator.end_training()


if __name__ == "__main__":
    save_gradients(*sys.argv[1:])
