"""Runs a script under FSDP on CPUs, by the FSDP configuration; accelerate itself knows FSDP on accelerators only."""

import os
import runpy
import sys
from pathlib import Path

import yaml
from accelerate import PartialState
from accelerate.utils import DistributedType

CONFIG = Path(__file__).parents[2] / "configs/accelerate/fsdp_8_gpu.yaml"
NAMES = {"fsdp_transformer_layer_cls_to_wrap": "FSDP_TRANSFORMER_CLS_TO_WRAP"}  # as `accelerate launch` passes it on

if __name__ == "__main__":
    os.environ["ACCELERATE_USE_FSDP"] = "true"
    for name, value in yaml.safe_load(CONFIG.read_text())["fsdp_config"].items():
        os.environ[NAMES.get(name, name.upper())] = str(value).lower() if isinstance(value, bool) else str(value)
    PartialState(cpu=True)
    PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
