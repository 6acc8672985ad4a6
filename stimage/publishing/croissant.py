"""Croissant metadata of a published folder, which data catalogues and loaders read (MLCommons, format 1.0).

The JSON is written here, so that the command needs no further package. mlcroissant checks it where it is installed.
"""

import importlib.util
import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stimage.core.errors import DataError
from stimage.core.files import listed, write_text
from stimage.publishing.plan import CARD
from stimage.slides.catalog import TECHS

FILE, IMAGE = "metadata.json", "image"
TITLE = "Tissue spots: H&E images with gene expression"
PAPER = (
    "Chen et al., STimage-1K4M: A histopathology image-gene expression dataset for spatial transcriptomics, "
    "NeurIPS 2024 Datasets and Benchmarks, arXiv 2406.06393"
)
SPOTS = {  # a column of shards → its meaning
    "spot_id": "unique across slides", "slide": "the slide's name", "tech": "ST, Visium or VisiumHD",
    "species": "of the slide", "tissue": "of the slide", "pmid": "publications of the slide, with commas",
    "involve_cancer": "whether the study is of cancer", "x": "centre, in pixels of the slide image, to the right",
    "y": "centre, in pixels of the slide image, downwards", "radius": "in pixels of the slide image",
    "um_per_px": "micrometres per pixel of the slide image", "annotation": "the pathologist's label",
    "image": "the spot's patch, RGB", "gene_ids": "ids of the genes with a count, ascending",
    "counts": "raw counts of these genes",
}  # fmt: skip
TABLES = {"slides": "a row a slide", "genes": "a row a gene: the ids of spots' gene_ids are of these"}
TERMS = (
    "citeAs column equivalentProperty extract field fileProperty fileObject fileSet format includes isLiveDataset "
    "jsonPath key md5 parentField path recordSet references regex repeated replace samplingRate separator source "
    "subField transform"
)
CONTEXT = {
    "@language": "en", "@vocab": "https://schema.org/", "sc": "https://schema.org/", "dct": "http://purl.org/dc/terms/",
    "cr": "http://mlcommons.org/croissant/", "rai": "http://mlcommons.org/croissant/RAI/",
    "conformsTo": "dct:conformsTo", "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"}, "examples": {"@id": "cr:examples", "@type": "@json"},
    **{term: f"cr:{term}" for term in TERMS.split()},
}  # fmt: skip


def write_metadata(folder: Path, repo: str | None = None, licence: str | None = None) -> Path:
    """Write a published folder's ``metadata.json``.

    Parameters
    ----------
    repo
        The folder's data set on the Hub, such as "user/spots"; the files are then those on the Hub. None names the
        files beside ``metadata.json``.
    licence
        The licence of the data.

    Raises
    ------
    DataError
        If the folder is not a finished published folder, or mlcroissant, where it is installed, finds a fault.
    """
    if not (folder / CARD).exists():
        raise DataError(
            f"{folder}: is no finished published folder, as it has no {CARD}; make it with stimage build-shards"
        )
    text = json.dumps(_metadata(folder, repo, licence), indent=1) + "\n"
    write_text(folder / FILE, text)
    return folder / FILE


def check_metadata(path: Path) -> bool:
    """Let mlcroissant check a metadata file; returns False where the package is not installed.

    Raises
    ------
    DataError
        If it finds a fault.
    """
    if importlib.util.find_spec("mlcroissant") is None:
        return False
    import mlcroissant

    try:
        mlcroissant.Dataset(jsonld=str(path))
    except mlcroissant.ValidationError as error:
        raise DataError(f"{path}: is no valid Croissant metadata: {error}") from None
    return True


def _metadata(folder: Path, repo: str | None, licence: str | None) -> dict[str, Any]:
    """Return the metadata as a dict of JSON-LD."""
    techs = [tech for tech in TECHS if listed(folder / "data" / tech, "*/*.parquet")]
    sets = [_file_set(f"{tech}-shards", f"data/{tech}/*/*.parquet", repo) for tech in techs]
    sets += [_file_set(f"{table}-table", f"{table}.parquet", repo) for table in TABLES]
    records = []
    for tech in techs:
        schema = pq.read_schema(listed(folder / "data" / tech, "*/*.parquet")[0])
        records.append(_record_set(tech, f"spots of {tech} slides", f"{tech}-shards", schema, "spot_id"))
    for table, meaning in TABLES.items():
        schema = pq.read_schema(folder / f"{table}.parquet")
        records.append(_record_set(table, meaning, f"{table}-table", schema, schema.names[0]))
    url = {"url": f"https://huggingface.co/datasets/{repo}"} if repo else {}
    return {
        "@context": CONTEXT, "@type": "sc:Dataset", "name": repo.split("/")[-1] if repo else "tissue-spots",
        "alternateName": TITLE, "description": f"{TITLE}. Each record of {', '.join(techs)} is a spot of a slide.",
        "conformsTo": "http://mlcommons.org/croissant/1.0", "citeAs": PAPER, "version": "1.0.0", **url,
        "datePublished": date.fromtimestamp((folder / CARD).stat().st_mtime).isoformat(),
        **({"license": licence} if licence else {}), "distribution": [*_repository(repo), *sets], "recordSet": records,
    }  # fmt: skip


def _repository(repo: str | None) -> list[dict[str, Any]]:
    """Return the Hub's repository as a file that the others are in."""
    if not repo:
        return []
    return [
        {
            "@type": "cr:FileObject", "@id": "repository", "name": "repository", "description": "the Hub's repository",
            "contentUrl": f"https://huggingface.co/datasets/{repo}", "encodingFormat": "git+https",
            "sha256": "main",  # the format asks for a digest, and a branch has none
        }
    ]  # fmt: skip


def _file_set(name: str, pattern: str, repo: str | None) -> dict[str, Any]:
    within = {"containedIn": {"@id": "repository"}} if repo else {}
    return {"@type": "cr:FileSet", "@id": name, "name": name, "description": f"the files {pattern}", **within,
            "encodingFormat": "application/x-parquet", "includes": pattern}  # fmt: skip


def _record_set(name: str, meaning: str, files: str, schema: pa.Schema, key: str) -> dict[str, Any]:
    fields = [field for column in schema for field in _fields(name, files, column)]
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "description": meaning, "key": {"@id": f"{name}/{key}"},
            "field": fields}  # fmt: skip


def _fields(name: str, files: str, column: pa.Field) -> list[dict[str, Any]]:
    """Return a column as a field, or, of a struct such as that of cells, a field for each member.

    A patch is a struct, too, of which the member ``bytes`` is the image's file.
    """
    meaning = SPOTS.get(column.name, column.name) if name in TECHS else column.name
    if column.name == IMAGE:
        return [_field(name, files, column.name, "", meaning, "sc:ImageObject", "bytes")]
    if pa.types.is_struct(column.type):
        return [_member(name, files, column.name, k, one) for k, one in enumerate(column.type)]
    repeated = {"repeated": True} if pa.types.is_list(column.type) else {}
    return [_field(name, files, column.name, "", meaning, _data_type(column.type)) | repeated]


def _member(records: str, files: str, column: str, k: int, member: pa.Field) -> dict[str, Any]:
    """Return the k-th member of a struct, such as a class of cells: an @id takes no blank, but a number."""
    path = json.dumps(member.name, ensure_ascii=False)
    field = _field(records, files, column, f"/{member.name}", member.name, _data_type(member.type), path)
    plain = re.fullmatch(r"[A-Za-z][\w-]*", member.name, re.ASCII)
    return field if plain else field | {"@id": f"{records}/{column}/{k}"}


def _field(
    records: str, files: str, column: str, below: str, meaning: str, kind: str, member: str | None = None
) -> dict[str, Any]:
    source = {"fileSet": {"@id": files}, "extract": {"column": column}}
    source |= {"transform": {"jsonPath": member}} if member else {}
    return {"@type": "cr:Field", "@id": f"{records}/{column}{below}", "name": f"{column}{below}",
            "description": meaning, "dataType": kind, "source": source}  # fmt: skip


def _data_type(type_: pa.DataType) -> str:
    """Return the data type of a column's values."""
    value = type_.value_type if pa.types.is_list(type_) else type_
    kinds = {pa.types.is_boolean: "Boolean", pa.types.is_integer: "Integer", pa.types.is_floating: "Float"}
    return f"sc:{next((kind for is_kind, kind in kinds.items() if is_kind(value)), 'Text')}"
