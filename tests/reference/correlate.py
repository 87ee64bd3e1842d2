"""Cross-correlation in plain loops over lists, for numbers of any size and kind."""

from typing import Any


def extend(cells: Any, before: Any, after: Any, mode: Any) -> Any:
    """`cells` with so many more before and after; None stands for a zero."""
    middle = list(cells)
    match mode:
        case "zeros":
            return [None] * before + middle + [None] * after
        case "replicate":
            return [middle[0]] * before + middle + [middle[-1]] * after
        case "circular":
            left, right = middle, middle
        case "reflect":  # the cell at the edge is not repeated
            left, right = middle[:0:-1], middle[-2::-1]
        case "symmetric":  # the cell at the edge is repeated
            left, right = middle[::-1], middle[::-1]
    if mode == "symmetric":  # and again from the other edge, as often as it takes
        left, right = (middle + left) * (before + 1), (right + middle) * (after + 1)
    return (left[-before:] if before else []) + middle + right[:after]


def widths(padding: Any, size: Any, dilation: Any) -> Any:
    reach = dilation * (size - 1)
    match padding:
        case "valid":
            return 0, 0
        case "same":
            return reach // 2, reach - reach // 2
        case "full":
            return reach, reach
    return padding, padding


def correlate(
    image: Any,
    filter: Any,
    *,
    stride: tuple[int, int] = (1, 1),
    padding: Any = "valid",
    padding_mode: str = "zeros",
    dilation: tuple[int, int] = (1, 1),
    flip: bool = False,
) -> Any:
    """The output as a list of rows, from an image and a filter as lists of rows."""
    if flip:
        filter = [row[::-1] for row in filter[::-1]]
    height, width = len(filter), len(filter[0])
    if not isinstance(padding, tuple):
        padding = (padding, padding)
    around = [
        widths(padding[k], (height, width)[k], dilation[k]) for k in range(2)
    ]  # (before, after) of rows and of columns
    (top, bottom), (left, right) = around
    rows = extend(range(len(image)), top, bottom, padding_mode)
    columns = extend(range(len(image[0])), left, right, padding_mode)
    output: list[Any] = []
    for r in range(0, len(rows) - dilation[0] * (height - 1), stride[0]):
        output.append([])
        for c in range(0, len(columns) - dilation[1] * (width - 1), stride[1]):
            total = 0
            for i in range(height):
                for j in range(width):
                    row, column = rows[r + i * dilation[0]], columns[c + j * dilation[1]]
                    if row is not None and column is not None:
                        total += filter[i][j] * image[row][column]
            output[-1].append(total)
    return output
