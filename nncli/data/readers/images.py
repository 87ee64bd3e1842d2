"""Images as matrices, by Pillow, which is imported only once an image is met."""

import io
import re
import struct
import warnings
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from nncli.core.errors import DataError
from nncli.core.text import count_of, sizes
from nncli.data.messages import Problems, cell_of
from nncli.data.readers.files import START, check_ratio, format_of

if TYPE_CHECKING:
    from PIL.Image import Image

BYTES_LIMIT = 1 << 30
# Width, height and the value of white, with white space and comments between them.
PNM_HEADER = re.compile(rb"P[2356]" + rb"(?:\s|#[^\n]*\n)+(\d{1,9})" * 3)
PILLOW_FORMATS = {  # suffix: Pillow's name of the format
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".pgm": "PPM",
    ".ppm": "PPM",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
# What Pillow's readers raise for damaged files; it documents no list.
DAMAGES = (
    *(OSError, EOFError, SyntaxError, ValueError, TypeError, IndexError, KeyError),
    *(OverflowError, RuntimeError, AttributeError, MemoryError, struct.error),
)
# What needs no conversion, for NumPy takes it as it is.
KEPT = ("L", "RGB", "I", "I;16", "I;16L", "I;16B", "I;16N", "F")
WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
JPEG_QUALITY = 95
ORIENTATION, UPRIGHT = 0x0112, 1  # the EXIF tag, and its value for what is stored as seen


def read(content: bytes, name: str) -> tuple[NDArray[Any], str, tuple[str, ...]]:
    """The pixels, the word `image`, and notes on what was left out.

    Grey images give rows x columns, others 3 x rows x columns: uint8, or uint16, int32 or float32
    where a grey image holds more.
    """
    found = format_of(content[:START], name)
    format = None if found is None or found.kind != "image" else found.name
    if format is None:
        known = ", ".join(dict.fromkeys([*PILLOW_FORMATS.values(), "GIF"]))
        raise DataError(f"{name}: is no image, or of a format other than {known}")
    pillow = imported(name, f"reading {format}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", pillow.DecompressionBombWarning)
            with pillow.open(io.BytesIO(content), formats=[format]) as image:
                check_ratio(name, bytes_of(image), len(content))
                notes = tuple(f"{name}: {note}" for note in losses(image, content))
                image.load()
                return pixels(upright(image), content), "image", notes
    except (pillow.DecompressionBombError, pillow.DecompressionBombWarning) as error:
        raise DataError(
            f"{name}: has more than {pillow.MAX_IMAGE_PIXELS:,} pixels; "
            "refused as a decompression bomb"
        ) from error
    except DAMAGES as error:
        raise DataError(f"{name}: is damaged or cut off: it cannot be read as {format}") from error


def imported(name: str, doing: str) -> Any:
    try:
        import PIL.Image
    except ImportError as error:
        raise DataError(f"{name}: {doing} needs Pillow: pip install 'nncli[images]'") from error
    import logging  # Pillow has loaded it

    # It logs what it makes of damaged files, and without a handler that is printed.
    pillow = logging.getLogger("PIL")
    if not pillow.handlers:
        pillow.addHandler(logging.NullHandler())
    return PIL.Image


def bytes_of(image: "Image") -> int:
    """What its pixels take."""
    each = {"I": 4, "F": 4}.get(image.mode, 2 if image.mode.startswith("I;16") else 1)
    return image.width * image.height * len(image.getbands()) * each


def losses(image: "Image", content: bytes) -> list[str]:
    """What of the image its matrix will not hold, or not as it is stored."""
    notes = []
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        notes.append(f"holds {count_of(frames, 'image')}; the first was read")
    if orientation_of(image) != UPRIGHT:
        notes.append("turned the way that its EXIF orientation says")
    if image.mode in WITH_ALPHA or "transparency" in image.info:
        notes.append("its alpha channel was dropped")
    if image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        notes.append(f"its {image.mode} colours were converted to RGB")
    if image.mode not in ("I;16", "I;16B", "I;16L", "I") and has_16_bits(image, content):
        notes.append("its 16 bits a channel were reduced to 8; only grey ones are kept")
    most = most_of_pnm(content) if image.format == "PPM" else None
    to = 65535 if image.mode == "I" else 255
    if most not in (None, to):
        notes.append(f"its values 0 to {most} were scaled to 0 to {to}")
    return notes


def orientation_of(image: "Image") -> int:
    """The way the camera was held, by the image's EXIF data; upright where they say nothing."""
    try:
        turn = image.getexif().get(ORIENTATION, UPRIGHT)
    except DAMAGES:
        return UPRIGHT
    return turn if turn in range(UPRIGHT, 9) else UPRIGHT


def upright(image: "Image") -> "Image":
    """The image as it is meant to be seen. Of TIFF, Pillow has turned it already."""
    if orientation_of(image) == UPRIGHT:
        return image
    import PIL.ImageOps

    turned = PIL.ImageOps.exif_transpose(image)
    turned.format = image.format
    return turned


def has_16_bits(image: "Image", content: bytes) -> bool:
    if image.format == "PNG":
        return content[24:25] == b"\x10"
    tiles = [tile[3] for tile in cast(Any, image).tile if tile[3]]  # a layout, or a tuple of more
    layouts = [tile if isinstance(tile, str) else tile[0] for tile in tiles]
    return any(";16" in str(layout) for layout in layouts)


def most_of_pnm(content: bytes) -> int | None:
    """The value of white in a .pgm or .ppm."""
    header = PNM_HEADER.match(content)
    return int(header[3]) if header else None


def pixels(image: "Image", content: bytes) -> NDArray[Any]:
    """Rows x columns, or 3 x rows x columns."""
    if image.mode in ("1", "LA", "La") or shows_grey(image, content):
        image = image.convert("L")
    elif image.mode not in KEPT:
        image = image.convert("RGB")
    array = np.asarray(image)
    # Where 16 bits are the most there can be, Pillow may still call them I: of PGM, and before 11
    # of PNG too.
    sixteen_bits = image.mode.startswith("I;16") or (
        image.mode == "I" and image.format in ("PPM", "PNG")
    )
    array = array.astype(np.uint16 if sixteen_bits else array.dtype, copy=False)
    return array if array.ndim == 2 else np.ascontiguousarray(np.moveaxis(array, 2, 0))


def shows_grey(image: "Image", content: bytes) -> bool:
    """Whether colours are but the way that grey is stored in."""
    if image.mode in ("P", "PA"):
        colours = np.array(image.getpalette("RGB")).reshape(-1, 3)
        return bool((colours == colours[:, :1]).all())
    # Pillow makes grey with alpha of 16 bits into RGBA.
    return image.format == "PNG" and content[25:26] == b"\x04"


def encoded(array: NDArray[Any], name: str, suffix: str) -> tuple[bytes, tuple[str, ...]]:
    """The bytes of an image file, and notes on what it does not hold of the matrix."""
    format = PILLOW_FORMATS[suffix]
    pillow = imported(name, f"writing {format}")
    if array.ndim == 3 and len(array) == 1:
        array = array[0]
    if array.ndim == 3 and (len(array) != 3 or suffix == ".pgm"):
        wanted = "1 channel" if suffix == ".pgm" else "1 channel or 3"
        raise DataError(
            f"{name}: an image has {wanted}, not {len(array)} ({sizes(array.shape)}); "
            f"write {'.ppm or ' if len(array) == 3 else ''}.npy instead"
        )
    refuse_nan(array, name)
    whole = array if array.dtype.kind in "iu" else np.rint(array)
    outside = int(((whole < 0) | (whole > 255)).sum())
    values = np.clip(whole, 0, 255).astype(np.uint8)
    image = pillow.fromarray(values if values.ndim == 2 else np.moveaxis(values, 0, 2).copy())
    stream = io.BytesIO()
    try:
        # Each writer takes the options it knows, and leaves the others.
        image.save(stream, format=format, quality=JPEG_QUALITY, lossless=True)
    except DAMAGES as error:
        raise DataError(
            f"{name}: {sizes(image.size[::-1])} pixels cannot be written as {format}; another "
            "format may hold them"
        ) from error
    notes = []
    if outside:
        notes.append(
            f"{name}: {outside:,} of {count_of(array.size, 'value')} lay outside 0 to 255 and "
            "became 0 or 255"
        )
    if format == "JPEG":
        notes.append(f"{name}: JPEG does not keep values exactly; PNG does")
    return stream.getvalue(), tuple(notes)


def refuse_nan(array: NDArray[Any], name: str) -> None:
    if array.dtype.kind != "f":
        return
    problems = Problems(name)

    def problem(position: int) -> str:
        index = [int(i) for i in np.unravel_index(position, array.shape)]
        return f"{name}: {cell_of(index)}: nan cannot be a pixel"

    problems.add_each(np.flatnonzero(np.isnan(array)).tolist(), problem)
    problems.raise_any()
