"""Make datasets find a builder by its name, and report the builder's own errors."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import datasets
from datasets.exceptions import DatasetGenerationError

from stimage.core.errors import DataError

log = logging.getLogger(__name__)


class ExampleError(DataError, DatasetGenerationError):
    """A `DataError` raised while examples are made, of a class that datasets does not wrap in another error."""


@contextmanager
def raise_as_example_error() -> Iterator[None]:
    """Turn a `DataError` into an `ExampleError`, since datasets hides other errors behind one without a cause."""
    try:
        yield
    except DataError as error:
        raise ExampleError(*error.args).with_traceback(error.__traceback__) from None


@contextmanager
def raise_cause() -> Iterator[None]:
    """Raise the cause, such as a full disk, where datasets only reports that examples could not be made."""
    try:
        yield
    except DatasetGenerationError as error:
        cause = error.__cause__
        if isinstance(error, DataError) or cause is None or "Remote" in type(cause).__name__:
            raise  # it says so itself; or has only the traceback of another process, as text
        raise cause from None


def register(name: str, digest: str) -> None:
    """Let `datasets.load_dataset` find the module ``name`` among its packaged ones.

    This uses private parts of datasets. If a release has moved them, the log says so, and nothing else is lost.
    """
    try:
        packaged = datasets.packaged_modules._PACKAGED_DATASETS_MODULES
        module, no_files = datasets.load.DatasetModule, datasets.data_files.DataFilesDict

        class Factory(datasets.load.PackagedDatasetModuleFactory):
            # Other packaged builders first glob all of data_dir or, without one, of the working directory.
            def get_module(self) -> datasets.load.DatasetModule:
                if self.name != name:
                    return super().get_module()
                return module(name, digest, {"data_files": no_files(), "dataset_name": name})

        packaged[name] = (name, digest)
        datasets.load.PackagedDatasetModuleFactory = Factory
    except (AttributeError, TypeError) as error:
        said = "datasets %s has moved what load_dataset(%r, …) hangs on (%s); use %s.load(…)"
        log.warning(said, datasets.__version__, name, error, name)
