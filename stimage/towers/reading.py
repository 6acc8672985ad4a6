"""Read a checkpoint of transformers: its configuration, weights, tokenizer and image processor."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import torch
from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError
from safetensors import SafetensorError

from stimage.core.errors import DataError, one_line
from stimage.core.hub import not_kept
from stimage.loading.embeddings import FORMS

if TYPE_CHECKING:  # transformers takes seconds to import, which the help of a script does not wait for
    from transformers import PreTrainedTokenizerBase

UNREACHABLE = (
    "it is not in the Hugging Face cache, and the Hub can't be reached; run hf download {} where there is a network, "
    "or fine-tune without it: the configuration tiny has random weights"
)

DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, UnpicklingError, SafetensorError)
NO_TEXT = "has no text tower; a text tower needs a whole CLIP checkpoint, a folder or a name on the Hub"


def read_config(name: str) -> dict[str, Any]:
    """Return what a checkpoint's config.json says; raises `DataError` if there is none."""
    from transformers import PreTrainedConfig

    if Path(name).is_file():
        raise DataError(
            f"{name}: is a file; a checkpoint is a folder or a name on the Hub, and finished embeddings are {FORMS}"
        )
    try:
        with told(
            name, "no readable config.json", "; check the path or the Hub name, or pass timm:NAME for one of timm"
        ):
            said = PreTrainedConfig.get_config_dict(name)[0]
            if not isinstance(said, dict):
                raise ValueError("it is no mapping")
            return said
    except DataError as error:
        raise DataError(f"{name}: cannot be read as a checkpoint: {str(error).removeprefix(f'{name}: ')}") from None


def read_beside(name: str, file: str) -> Any:
    """Return the content of a JSON file beside a checkpoint, None if there is none; `DataError` if it is damaged."""
    from transformers.utils.hub import cached_file

    with told(name, f"has no {file} that can be read"):
        raised = {f"_raise_exceptions_for_{case}": False for case in ("missing_entries", "connection_errors")}
        found = cached_file(name, file, **raised)
        return None if found is None else json.loads(Path(found).read_text(encoding="utf-8"))


def read_weights(cls: Any, name: str, **options: object) -> tuple[Any, set[str]]:
    """Return a checkpoint as a model of a class, float32, and which weights it lacks; those are random then."""
    from transformers import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()  # weights that are not of this class are left out on purpose
    logging.disable_progress_bar()
    try:
        with told(name, f"can't be loaded as {cls.__name__}"):
            model, found = cls.from_pretrained(name, output_loading_info=True, dtype=torch.float32, **options)
    finally:
        logging.set_verbosity(level)
    return model, set(found["missing_keys"])


def read_processor(name: str, trust_remote_code: bool = False) -> Any:
    """Return a checkpoint's image processor; raises `DataError` if it has none."""
    from transformers import AutoImageProcessor

    with told(name, "has no readable preprocessor_config.json", "; save the base model's image processor beside it"):
        return AutoImageProcessor.from_pretrained(name, trust_remote_code=trust_remote_code)


def tokenizer_of(name: str) -> "PreTrainedTokenizerBase":
    """Return a checkpoint's tokenizer, which cuts text to the length of its text tower; `DataError` if it has none."""
    from transformers import AutoTokenizer, CLIPConfig

    said = read_config(name)
    if said.get("model_type") != "clip":
        raise DataError(f"{name}: {NO_TEXT}")
    with told(name, "has no tokenizer that can be read"):
        tokenizer = AutoTokenizer.from_pretrained(name)
        if len(tokenizer) <= len(tokenizer.all_special_tokens):  # transformers makes one without its files, too
            raise ValueError("it knows no words; save the base model's tokenizer beside it")
    places = CLIPConfig.from_dict(said).text_config.max_position_embeddings
    tokenizer.model_max_length = min(tokenizer.model_max_length, places)
    return tokenizer


@contextmanager
def told(name: str, what: str, remedy: str = "", repository: str | None = None) -> Iterator[None]:
    """Turn what a library raises into a `DataError`; of a checkpoint that can't be fetched, with what to do.

    ``repository`` is where the Hub has it; None takes it from the name.
    """
    repository = repository or repository_of(name)
    try:
        yield
    except DataError:
        raise
    except ImportError as error:  # of code that comes with a checkpoint
        raise DataError(f"{name}: {what} ({one_line(error)})") from None
    except DAMAGED as error:
        causes = _causes(error)
        if kept := next(filter(None, map(not_kept, causes)), ""):
            why = kept
        elif any(isinstance(cause, GatedRepoError) for cause in causes):
            why = f"its terms must be accepted at https://huggingface.co/{repository}; then run hf auth login"
        elif any(isinstance(cause, LocalEntryNotFoundError) for cause in causes):
            why = UNREACHABLE.format(repository)
        else:
            argument = isinstance(error, TypeError) and "unexpected keyword argument" in str(error)
            why = f"{one_line(error)}{'; check model_args= (--model-args)' if argument else remedy}"
        raise DataError(f"{name}: {what} ({why})") from None


def repository_of(name: str) -> str:
    """Return the repository in a tower's name: all but the prefix for its library."""
    return name.rpartition(":")[2]


def _causes(error: BaseException | None) -> list[BaseException]:
    """Return an error and what it came of."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found
