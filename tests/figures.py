"""What a picture says, read back: the words of a PDF, the scale bars and the spots of a figure."""

import re
import zlib
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def words_of(pdf: Path) -> str:
    """Return all that a PDF shows as text; letters that are drawn as shapes are not among it."""
    said = ""
    for found in re.finditer(rb"stream\r?\n(.*?)endstream", pdf.read_bytes(), re.S):
        try:
            content = zlib.decompress(found[1])
        except zlib.error:  # the font itself, or an image
            continue
        for shown in re.findall(rb"\[([^\]]*)\]\s*TJ|(\([^)]*\))\s*Tj", content):
            letters = b"".join(re.findall(rb"\(((?:[^()\\]|\\.)*)\)", b"".join(shown), re.S))
            said += re.sub(rb"\\(.)", rb"\1", letters, flags=re.S).replace(b"\0", b"").decode("latin-1") + "\n"
    return said


def scale_bars(figure: Figure) -> list[tuple[float, str]]:
    """Return each scale bar's length, in pixels of the slide image, and what is written below it."""
    found = []
    for axes in figure.axes:
        for line in axes.lines:
            if line.get_gid() == "scale bar":
                (text,) = (text.get_text() for text in axes.texts if text.get_text().endswith(("m", "known)")))
                found.append((float(abs(line.get_xdata()[1] - line.get_xdata()[0])), text))
    return found


def inside(figure: Figure) -> bool:
    """Say whether all words are within the figure; ticks that are out of view are not drawn."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    box, texts = figure.bbox, figure.findobj(lambda part: sum(map(str.isalpha, getattr(part, "get_text", str)())) > 1)
    extents = [text.get_window_extent(canvas.get_renderer()) for text in texts if text.get_visible()]
    return all(e.x0 >= -1 and e.y0 >= -1 and e.x1 <= box.x1 + 1 and e.y1 <= box.y1 + 1 for e in extents)
