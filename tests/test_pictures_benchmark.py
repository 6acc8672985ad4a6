"""The sheet of all pictures: its commands are those of the scripts, symbols are right, each picture is on it."""

import csv
import runpy
import sys
from argparse import ArgumentParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import pictures
from stimage.sample import make_sample
from stimage.sample.expression import made_genes
from stimage.sample.tissue import BREAST


class Parsed(Exception):
    """A script's arguments are parsed: the script is not to go on."""


COMMANDS = pictures.commands(Path("out"))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command[0].split('/')[-1]} {command[1]}")
def test_each_command_is_one_of_its_script(command, monkeypatch):
    words, parse = [str(pictures.HERE / command[0]), *map(str, command[1:])], ArgumentParser.parse_args

    def stop(parser):
        raise Parsed(parse(parser))

    monkeypatch.setattr(sys, "argv", words)
    monkeypatch.setattr(ArgumentParser, "parse_args", stop)
    with pytest.raises(Parsed) as parsed:
        runpy.run_path(words[0])["main"]()
    (args,) = parsed.value.args
    assert str(args.out).startswith("out/") if "--out" in words else args.slides == [pictures.VISIUM]


def test_symbols_are_those_of_the_ids(tmp_path):
    make_sample(tmp_path / "root", genes=120, slides_per_study=6, st_side=4, visium_side=4, hd_side=4)
    pictures.write_symbols(tmp_path / "root", tmp_path / "symbols.csv")
    rows = [*csv.reader((tmp_path / "symbols.csv").open())]
    names = made_genes(BREAST, 120)
    assert rows[0] == ["gene_id", "symbol"] and {"ERBB2", "CD3E"} <= {symbol for _, symbol in rows}
    assert all(names[int(gene.removeprefix("ENSG9"))] == symbol for gene, symbol in rows[1:])


def test_each_picture_is_on_the_sheet_below_no_other(tmp_path):
    colours = {f"figures/{k}.png": (200, 10 * k, 0) for k in range(6)}
    for name, colour in (colours | {"sheet.png": (0, 0, 0), "demo/tiles/a.png": (0, 0, 0)}).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (1200, 600) if name[-5] == "0" else (300, 300), colour).save(tmp_path / name)
    found = pictures.pictures(tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in found] == [*colours]
    sheet = np.asarray(pictures.sheet_of({path.name: path for path in found}))
    areas = [int((sheet == colour).all(-1).sum()) for colour in colours.values()]
    assert areas == [880 * 440, *[300 * 300] * 5]
