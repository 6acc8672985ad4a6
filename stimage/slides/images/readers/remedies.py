"""Commands that convert an unsupported image; each works as it stands."""

import os

from stimage.core.errors import DataError

TILES = "tile=(256, 256), compression='zlib', bigtiff=True"
AS_RGB = "from PIL import Image as i; i.MAX_IMAGE_PIXELS = None; i.open('{name}').convert('RGB').save('{to}')"


def not_supported(path: str, what: str, command: str) -> DataError:
    """Return the error for an image that is sound but not supported."""
    return DataError(f"{path}: not supported: {what}; convert it so: {command}")


def by_pillow(path: str, to: str = "converted.png") -> str:
    """Return the command that converts by Pillow."""
    return _python(AS_RGB.format(name=_name(path), to=to))


def by_tifffile(path: str, then: str = "", page: int | None = None) -> str:
    """Return the command that reads a TIFF by tifffile, whole or one page of it, and writes it as RGB in tiles.

    Parameters
    ----------
    then
        What makes RGB (height, width, 3) of the array ``a``, as an expression; by default ``a`` itself.
    """
    key = "" if page is None else f", key={page}"
    return _python(
        f"import tifffile as t; a = t.imread('{_name(path)}'{key}); "
        f"t.imwrite('converted.tif', {then or 'a'}, photometric='rgb', {TILES})"
    )


def lab_by_pillow(path: str) -> str:
    """Return the command that converts a TIFF of L*a*b* in 8 bits."""
    spaces = "m.createProfile('LAB'), m.createProfile('sRGB'), outputMode='RGB'"
    return _python(
        "from PIL import Image as i, ImageCms as m; i.MAX_IMAGE_PIXELS = None; "
        f"m.profileToProfile(i.open('{_name(path)}'), {spaces}).save('converted.png')"
    )


def repeated(expression: str, bands: int) -> str:
    """Return the expression that makes RGB of an array of grey, with or without alpha; more bands stay."""
    if bands > 2:
        return expression
    return f"({expression}){'[..., None]' if bands == 1 else '[..., :1]'}.repeat(3, -1)"


def by_libvips(path: str) -> str:
    """Return the command that converts colours by libvips, in little memory."""
    to = "tiffsave('converted.tif', tile=True, compression='deflate', bigtiff=True)"
    return _python(f"import pyvips as v; v.Image.new_from_file('{_name(path)}').colourspace('srgb').{to}")


def by_imagecodecs(path: str) -> str:
    """Return the command that decodes a file whole by imagecodecs and writes it in tiles; grey loses its alpha."""
    return _python(
        f"import imagecodecs as c, tifffile as t; a = c.imread('{_name(path)}'); "
        f"t.imwrite('converted.tif', a[..., 0] if a.shape[2:] == (2,) else a, {TILES})"
    )


def as_cmyk(path: str) -> str:
    """Return the command that says CMYK in a JPEG's Adobe marker; nothing else is changed."""
    return _python(
        f"b = bytearray(open('{_name(path)}', 'rb').read()); b[b.find(b'Adobe') + 11] = 0; "
        "open('converted.jpg', 'wb').write(b)"
    )


def by_us(path: str) -> str:
    """Return the command that makes one file from an image of several files, in little memory."""
    return _python(
        f"from stimage.slides.images.converting import convert_image as c; c('{_name(path)}', 'converted.tif')"
    )


def _python(code: str) -> str:
    return f'python -c "{code}"'


def _name(path: str) -> str:
    return os.path.basename(path).replace("'", "\\'")
