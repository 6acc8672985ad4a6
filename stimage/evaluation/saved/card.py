"""Results as a data set on the Hub: a table of all figures, and a card by which `load_dataset` finds each file."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from huggingface_hub import DatasetCard, DatasetCardData

from stimage.core.errors import DataError
from stimage.core.files import listed, replacing, write_text
from stimage.core.results import RESULTS
from stimage.evaluation.results import read_scores
from stimage.evaluation.saved.predictions import PREDICTIONS
from stimage.evaluation.tables.forms import SCORE_COLUMNS, score_rows

CARD, FIGURES = "README.md", "figures.parquet"
PATTERNS = "*?[]{}"  # what data_files would not take as they are
NUMBERS = {"groups": pa.int64(), **dict.fromkeys(("value", "std", "low", "high"), pa.float64())}
TEXT = """\
# How well encoders of histology images do

Figures of {n} results, each with the predictions of every tested spot, truth beside. Expression and images are of
[STimage-1K4M](https://huggingface.co/datasets/jiawennnn/STimage-1K4M), of a folder laid out like it, or of
HEST-Benchmark.

```python
from datasets import load_dataset

figures = load_dataset("{repo}", "figures", split="test")
predictions = load_dataset("{repo}", "{first}", split="test")
```

`figures` has a row a figure: `result` is the folder that it is of, `scope` a slide or "overall", `low` and `high` its
95 % interval over `groups` that were held out. Of the other configurations, each has the predictions of one result. The
metadata of its Parquet file names the genes of each fold, under the key `scoring`; so does `results.json` beside it.
`manifest.json` has the digests of the files; `stimage verify` on a copy of this data set computes all figures again.

| result | protocol | model | figure | value | 95 % interval |
| --- | --- | --- | --- | ---: | --- |
{table}
"""
MAIN = ("pearson", "pooled.pearson", "pooled.embedding.macro_f1_together", "within.a_to_b.recall@10")
MOST = 100  # rows of the card's table


def write_card(folder: Path, repo: str, licence: str | None = None) -> list[Path]:
    """Write the table of figures and the card of a folder of results, or of many such folders; return their paths.

    Raises
    ------
    DataError
        If a folder's name can't be the name of a file of a data set, or is taken.
    """
    found = {path.parent: read_scores(path) for path in listed(folder, f"**/{RESULTS}")}
    rows = [row for place, results in found.items() for row in _rows(_name(folder, place), results)]
    names = ("result", "protocol", "model", *SCORE_COLUMNS)
    schema = pa.schema([(name, NUMBERS.get(name, pa.string())) for name in names])
    with replacing(folder / FIGURES) as new:
        pq.write_table(pa.Table.from_pylist([dict(zip(names, row)) for row in rows], schema=schema), new)
    files = {"figures": FIGURES}
    for place in found:
        if (place / PREDICTIONS).exists():
            name, path = _name(folder, place), (place / PREDICTIONS).relative_to(folder).as_posix()
            if set(path) & set(PATTERNS):
                raise DataError(
                    f"{place}: a data set's file can't have any of {PATTERNS} in its path; rename the folder"
                )
            if (called := name.replace("/", ".")) in files:
                raise DataError(f"{place}: the data set already has a configuration {called!r}; rename the folder")
            files[called] = path
    data = DatasetCardData(
        license=licence, pretty_name="Evaluation results on spatial transcriptomics",
        tags=["histology", "spatial-transcriptomics", "gene-expression", "biology"],
        configs=[{"config_name": name, **({"default": True} if name == "figures" else {}),
                  "data_files": [{"split": "test", "path": path}]} for name, path in files.items()],
    )  # fmt: skip
    table = "\n".join(f"| {' | '.join(line)} |" for line in list(_lines(rows))[:MOST])
    text = TEXT.format(n=len(found), repo=repo, first=list(files)[-1], table=table)
    write_text(folder / CARD, str(DatasetCard(f"---\n{data.to_yaml()}\n---\n\n{text}")))
    return [folder / CARD, folder / FIGURES]


def _name(folder: Path, place: Path) -> str:
    return "predictions" if place == folder else place.relative_to(folder).as_posix()


def _rows(name: str, results: Mapping) -> Iterator[tuple]:
    protocol, model = results["protocol"]["name"], results["data"].get("model")
    for row in score_rows(results["slides"], results["overall"]):
        yield name, protocol, model, *row


def _lines(rows: list[tuple]) -> Iterator[list[str]]:
    for result, protocol, model, scope, figure, value, _, low, high, _ in rows:
        if scope == "overall" and figure in MAIN and value is not None:
            interval = "too few groups" if low is None or high is None else f"{low:.3f} to {high:.3f}"
            yield [result, protocol, str(model), figure, f"{value:.3f}", interval]
