"""The head of a model's card for the Hub: the model that it was tuned from, its licence, data and scores."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from stimage.core.errors import DataError
from stimage.towers.presets import Preset, find_preset, presets
from stimage.towers.reading import repository_of

TAGS = ["histology", "spatial-transcriptomics", "gene-expression", "clip"]
HUB_LICENCES = (
    "apache-2.0",
    "bsd-3-clause",
    "cc-by-nc-nd-4.0",
    "gpl-3.0",
    "mit",
)  # as the Hub calls them


def card_data(
    encoder: str, source: str, text: bool, scores: Mapping[str, Any], shown: Sequence[str], slides: Sequence[str]
) -> ModelCardData:
    """Return the head of a card.

    Parameters
    ----------
    encoder, source
        The image encoder and the data, as settings name them; neither a path nor what is no name on the Hub is said.
    scores, shown, slides
        Of the model on held-out slides, which of them are said, and the names of these slides.
    """
    preset = _preset_of(encoder)
    base = preset.repository if preset else _on_hub(repository_of(encoder))
    task = "zero-shot-image-classification" if text else "image-feature-extraction"
    data = _on_hub(source)
    results = [
        EvalResult(
            task_type=task, dataset_type=data or "spots", dataset_name=f"held-out slides: {', '.join(slides)}",
            metric_type=name, metric_value=float(scores[name]), metric_name=name)
        for name in shown if slides and scores.get(name) is not None
    ]  # fmt: skip
    return ModelCardData(
        base_model=base, datasets=[data] if data else None, library_name="transformers", pipeline_tag=task, tags=TAGS,
        model_name=f"{Path(encoder).name}, fine-tuned on tissue spots", eval_results=results or None,
        **_licence(preset),
    )  # fmt: skip


def plain_name(name: str) -> str:
    """Return what a card calls an encoder or data: of what is on this machine, the last part of its path alone."""
    return Path(name).resolve().name if Path(name).exists() or Path(name).is_absolute() else name


def check_licence(encoder: str, public: bool) -> str | None:
    """Tell what the licence of an encoder says on uploading what is tuned from it; None where it says nothing.

    Raises
    ------
    DataError
        If all would see a model that its licence lets nobody share.
    """
    preset = _preset_of(encoder)
    if preset is None or not any(word in preset.licence.lower() for word in ("-nc", "-nd", "non-commercial")):
        return None
    terms = f"https://huggingface.co/{preset.repository}"
    said = f"{preset.name} has the licence {preset.licence}: what is tuned from it is for no commercial use"
    if "-nd" not in preset.licence.lower():
        return f"warning: {said}; read its terms at {terms}"
    said += f", and may not be shared with others; read its terms at {terms}"
    if public:
        raise DataError(f"{said}. Leave out public= (--public): a private repository is yours alone")
    return f"warning: {said}. Keep the repository private"


def _preset_of(encoder: str) -> Preset | None:
    return find_preset(encoder) or next((p for p in presets().values() if encoder in (p.repository, p.loader)), None)


def _on_hub(name: str) -> str | None:
    """Return a name that may be a repository's: of one slash, and no path that is there."""
    return name if name.count("/") == 1 and not name.startswith((".", "/", "~")) and not Path(name).exists() else None


def _licence(preset: Preset | None) -> dict[str, Any]:
    """Return the licence of the weights that were tuned, where it is known."""
    if preset is None:
        return {}
    known = preset.licence.lower()
    return {"license": known} if known in HUB_LICENCES else {"license": "other", "license_name": preset.licence}
