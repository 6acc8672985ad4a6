"""Which pages of a TIFF are the slide, which are smaller levels of it, and which are other pictures."""

from dataclasses import dataclass, replace
from typing import Any

import tifffile

from stimage.core.errors import DataError, one_line
from stimage.slides.images.readers.pixel_size import PixelSize, told_by_tiff
from stimage.slides.images.readers.remedies import by_libvips, by_pillow, by_tifffile, lab_by_pillow, not_supported

JOINED = 3  # pages of an OME-TIFF that are red, green and blue
COLOURS = ("red", "green", "blue")
BY_LIBVIPS = {1, 2, 3, 4, 5, 7, 8, 32773, 32946}  # none, fax, LZW, JPEG, deflate, PackBits
APERIO_YCBCR = 33003  # Aperio's JPEG 2000, whose colours no header says
GIVE_RGB = {6, 7, 22610, 33003, 33004, 33005, 33007, 34712, 34892, 34934, 50001, 50002, 52546}  # of YCbCr: JPEG, WebP
COLOURED = (0, 1, 2, 3, 5, 6)  # photometric interpretations that are read: grey, RGB, a palette, ink, YCbCr
VENDORS = {"ndpi": "Hamamatsu NDPI", "scn": "Leica SCN", "bif": "Ventana BIF", "philips": "Philips TIFF"}
YCBCR, CIELAB = tifffile.PHOTOMETRIC.YCBCR, tifffile.PHOTOMETRIC.CIELAB
SEPARATE = tifffile.PLANARCONFIG.SEPARATE

Page = Any  # tifffile.TiffPage, whose attributes are set as it is read


@dataclass(frozen=True)
class Layout:
    """The pages of a slide in a TIFF.

    Attributes
    ----------
    levels
        The pages of each level, from the largest on: one, or one each for red, green and blue.
    places
        Where libvips finds each level: page, and sub-page or -1. None where libvips does not decode them.
    vendor
        Whose format it is, if only OpenSlide knows how its tiles lie or what their colours are; else "".
    pixel_sizes
        What the file says of a pixel's size.
    """

    levels: tuple[tuple[Page, ...], ...]
    places: tuple[tuple[int, int], ...] | None = None
    vendor: str = ""
    pixel_sizes: tuple[PixelSize, ...] = ()


def read_layout(path: str) -> Layout:
    """Find the slide and its levels.

    Raises
    ------
    DataError
        If the file is damaged or cut off, or if which page is the slide, or which its colours, cannot be told.
    """
    try:
        with tifffile.TiffFile(path) as tiff:
            _ = tiff.pages[0]
    except Exception as error:
        raise DataError(f"{path}: is no PNG, JPEG or TIFF image that can be read ({one_line(error)})") from None
    try:
        with tifffile.TiffFile(path) as tiff:
            layout, size = _layout(path, tiff), tiff.filehandle.size
            layout = replace(layout, pixel_sizes=told_by_tiff(tiff, layout.levels[0][0]))
            for page in (page for pages in layout.levels for page in pages):
                _ = page.decode, page.jpegtables, page.tags.get("ColorMap") and page.colormap  # read with the file open
                reach = max(map(sum, zip(page.dataoffsets, page.databytecounts)), default=0)
                if reach > size and not layout.vendor:
                    raise DataError(f"{path}: is damaged or cut off: its pixels reach beyond the end of the file")
    except DataError:
        raise
    except Exception as error:  # of many classes: a tag may have several values where one should be
        raise DataError(f"{path}: is damaged or cut off ({one_line(error)})") from None
    return layout


def _layout(path: str, tiff: tifffile.TiffFile) -> Layout:
    pages = _pages(path, tiff)
    largest = _slide_page(path, pages, tiff.is_svs)
    page = pages[largest]
    if vendor := _vendor(tiff, page):
        return Layout(((page,),), vendor=vendor)
    if planes := _planes(path, tiff, pages, page):
        return Layout(tuple(planes))
    _check_colours(path, page)
    found = [((largest, -1), page), *_smaller(pages, largest)]
    places = tuple(place for place, _ in found) if all(_is_for_libvips(one) for _, one in found) else None
    return Layout(tuple((one,) for _, one in found), places)


def _pages(path: str, tiff: tifffile.TiffFile) -> list[Page]:
    """Return all pages; tifffile would follow for ever a last one that names an earlier one as the next."""
    pages: dict[int, Page] = {}
    for page in tiff.pages:
        if page.offset in pages:
            raise DataError(f"{path}: is damaged: after page {len(pages) - 1} comes an earlier page again")
        pages[page.offset] = page.aspage()
    return list(pages.values())


def _check_colours(path: str, page: Page) -> None:
    """Refuse pixels that a decoder would give as they are, though they are not RGB."""
    if page.photometric == YCBCR and page.compression not in GIVE_RGB:
        raise not_supported(path, "its pixels are YCbCr without JPEG", by_pillow(path))
    if page.photometric == CIELAB:
        raise not_supported(
            path, "its pixels are L*a*b*", lab_by_pillow(path) if page.dtype == "u1" else by_libvips(path)
        )
    if page.photometric not in COLOURED:
        kind = getattr(page.photometric, "name", page.photometric)
        raise DataError(f"{path}: not supported: its pixels are {kind}, no colours that are read; export it as RGB")


def _slide_page(path: str, pages: list[Page], aperio: bool) -> int:
    """Return which page is the slide: the largest, but for those that say that they are label or macro image."""
    names = [page.description.split("\n")[1:2] if aperio else [] for page in pages]
    others = {k for k, name in enumerate(names) if name and name[0].startswith(("label", "macro"))}
    if len(others) == len(pages):
        raise DataError(f"{path}: has a label or a macro image alone; get the slide's own image")
    areas = {k: page.imagelength * page.imagewidth for k, page in enumerate(pages) if k not in others}
    largest = max(areas, key=lambda k: (areas[k], -k))
    tiled = [k for k in areas if pages[k].is_tiled]
    if tiled and not pages[largest].is_tiled:  # scanners write slides in tiles, and macro images in strips
        other = max(tiled, key=lambda k: (areas[k], -k))
        if not _is_smaller(pages[largest], pages[other]):
            whole, part = pages[largest], pages[other]
            what = (
                f"its largest page, {largest} ({whole.imagewidth:,} x {whole.imagelength:,} pixels), has strips as "
                f"macro images have, and page {other} ({part.imagewidth:,} x {part.imagelength:,}) has tiles as slides "
                f"have, so the slide's page is not known; if it is page {other}"
            )
            raise not_supported(path, what, by_tifffile(path, page=other))
    return largest


def _vendor(tiff: tifffile.TiffFile, page: Page) -> str:
    for flag, vendor in VENDORS.items():
        if getattr(tiff, f"is_{flag}"):
            return vendor
    if tiff.is_svs and page.compression == APERIO_YCBCR:
        return "Aperio JPEG 2000"
    return "Trestle" if page.software.startswith("MedScan") else ""


def _planes(path: str, tiff: tifffile.TiffFile, pages: list[Page], page: Page) -> list[tuple[Page, ...]] | None:
    """Return the levels of an OME-TIFF whose colours are pages of one band; None where a page has all of them."""
    if page.samplesperpixel > 1:
        return None
    alike = sum(one.shape == page.shape and one.samplesperpixel == 1 for one in pages)
    every = tiff.series if tiff.is_ome else ()
    series: Any = next((one for one in every if page.index in {p.index for p in one.pages if p}), None)
    axes = series.get_axes(squeeze=False) if series else ""
    channels = series.get_shape(squeeze=False)[axes.index("C")] if "C" in axes else 0
    if channels < 2:
        if alike <= 2:  # a mask, or the same picture again
            return None
        raise not_supported(path, f"its colours are {alike} pages of one band each", _three(path, []))
    names = _channel_names(tiff)
    if channels != JOINED or len(series.pages) != JOINED or not _are_colours(names):
        said = f": {', '.join(names)}" if any(names) else ""
        what = f"its {len(series.pages)} pages of one band each are not red, green and blue{said}"
        raise not_supported(path, what, _three(path, names))
    return [tuple(one.aspage() for one in level.pages if one) for level in series.levels]


def _three(path: str, names: list[str]) -> str:
    """Return the command that joins three pages: those that are called red, green and blue, or the first ones."""
    found = [next((k for k, name in enumerate(names) if _is_colour(name, colour)), -1) for colour in COLOURS]
    which = ":3" if min(found) < 0 or found == [0, 1, 2] else str(found)
    return by_tifffile(path, f"a.reshape(-1, *a.shape[-2:])[{which}].transpose(1, 2, 0)")


def _is_colour(name: str, colour: str) -> bool:
    return name.lower() == colour[0] or colour in name.lower()


def _channel_names(tiff: tifffile.TiffFile) -> list[str]:
    found = tifffile.xml2dict(tiff.ome_metadata or "<OME/>").get("OME", {}).get("Image", {})
    image = found[0] if isinstance(found, list) else found
    channels = image.get("Pixels", {}).get("Channel", [])
    return [str(one.get("Name", "")) for one in (channels if isinstance(channels, list) else [channels])]


def _are_colours(names: list[str]) -> bool:
    """Return whether channels may be red, green and blue: they have no names, or these."""
    if not any(names):
        return True
    return len(names) == JOINED and all(
        _is_colour(name, colour) or name == f"Channel:0:{k}" for k, (name, colour) in enumerate(zip(names, COLOURS))
    )


def _smaller(pages: list[Page], largest: int) -> list[tuple[tuple[int, int], Page]]:
    """Return the levels below the slide, with where they are: its sub-pages, and pages of the same shape."""
    page = pages[largest]
    found = [((largest, k), below.aspage()) for k, below in enumerate(page.pages or ())]
    found += [((k, -1), one) for k, one in enumerate(pages) if k != largest]
    levels: dict[tuple[int, int], tuple[tuple[int, int], Page]] = {}
    for place, one in found:
        if _is_smaller(page, one) and one.is_tiled == page.is_tiled:
            levels.setdefault((one.imagewidth, one.imagelength), (place, one))
    return [levels[size] for size in sorted(levels, reverse=True)]


def _is_smaller(page: Page, other: Page) -> bool:
    """Return whether a page can be another one at a coarser level: of its shape and kind of pixels."""
    kinds = [(p.samplesperpixel, p.bitspersample, p.planarconfig, p.photometric, p.compression) for p in (page, other)]
    wide, high = page.imagewidth / other.imagewidth, page.imagelength / other.imagelength
    near = abs(page.imagewidth / high - other.imagewidth) <= 1 and abs(page.imagelength / wide - other.imagelength) <= 1
    return min(wide, high) > 1.5 and near and kinds[0] == kinds[1]


def _is_for_libvips(page: Page) -> bool:
    separate = page.planarconfig == SEPARATE and page.samplesperpixel > 1 and page.is_tiled
    bits = page.bitspersample in (1, 2, 4, 8, 16) and page.dtype is not None and page.dtype.kind in "ub"
    straight = tifffile.EXTRASAMPLE.ASSOCALPHA not in page.extrasamples
    return page.compression in BY_LIBVIPS and bits and straight and not separate
