"""MatConvNet's `.mat` files, of every layout: fields are found by their names, for their order changed with beta17.

The trap is the order of axes. MatConvNet's kernels are height × width × input × output, so (3, 2, 0, 1) makes of them
PyTorch's output × input × height × width. Its manual once called the first axis the width, and programs that believed
it mirror every kernel about its diagonal: nothing fails, the features are merely others. What the axes are follows from
use: MatConvNet's own examples give the network `imread`'s pictures, whose first axis is the height, and the script that
made these files from Caffe's (`utils/import-caffe.py`) turned the axes so that this is right.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernels.backend import np
from kernels.features.convention import VGG_MEAN, Mean
from kernels.features.refused import WeightsRefused

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

TO_PYTORCH = (3, 2, 0, 1)


def read(path: Path) -> tuple[dict[str, Array], Mean]:
    """Kernels and biases as `LAYER.weight` and `LAYER.bias`, and the mean. Needs scipy; raises ModuleNotFoundError."""
    from scipy.io import loadmat

    try:
        told = loadmat(path, variable_names=["layers", "meta", "normalization"], struct_as_record=True)
    except (ValueError, TypeError, OSError, EOFError, KeyError, NotImplementedError) as error:
        raise WeightsRefused(f"{path}: a damaged MATLAB file ({error}); fetch it again") from error
    if "layers" not in told:
        raise WeightsRefused(f"{path}: a MATLAB file, but not of MatConvNet: no `layers` in it; take another")
    found: dict[str, Array] = {}
    for layer in np.ravel(told["layers"]):
        found |= _layer(layer)
    return found, _mean(told)


def _field(struct: Any, name: str) -> Any:
    """A field of a MATLAB struct, which comes as an array of one record; None where there is no such."""
    while isinstance(struct, np.ndarray) and struct.size == 1 and not struct.dtype.names:
        if struct.dtype != object:
            return None
        struct = struct.reshape(-1)[0]
    names = getattr(struct, "dtype", None) and struct.dtype.names
    if not names or name not in names:
        return None
    return np.ravel(struct)[0][name] if np.size(struct) else None


def _layer(struct: Any) -> dict[str, Array]:
    """The tensors of a convolution: kernels whose four axes were turned, biases; nothing of any other layer."""
    name, weights = _field(struct, "name"), _field(struct, "weights")
    if weights is None:  # as before beta10
        weights = np.array([_field(struct, "filters"), _field(struct, "biases")], dtype=object)
    if name is None or np.size(weights) != 2:
        return {}
    kernels, biases = np.ravel(weights)
    if np.ndim(kernels) != 4:
        return {}
    word = str(np.ravel(name)[0])
    turned = np.ascontiguousarray(np.transpose(kernels, TO_PYTORCH), np.float32)
    return {f"{word}.weight": turned, f"{word}.bias": np.asarray(np.ravel(biases), np.float32)}


def _mean(told: dict[str, Any]) -> Mean:
    """The mean of each channel: given as three numbers, or as a picture whose channels are averaged."""
    normalization = _field(told.get("meta"), "normalization")
    if normalization is None:
        normalization = told.get("normalization")
    image = _field(normalization, "averageImage")
    if image is None or np.size(image) == 0 or np.size(image) % 3:
        return VGG_MEAN  # it is the only one that a VGG was ever trained with
    channels = np.reshape(np.asarray(image, np.float64), (-1, 3)).mean(axis=0)
    return float(channels[0]), float(channels[1]), float(channels[2])
