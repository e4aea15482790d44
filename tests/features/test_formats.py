"""Every file that people have means in darkroom what it meant where it came from; whatever is not one is told apart."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from kernels.features import store
from kernels.features.convention import Convention
from kernels.features.formats import Converted, convert
from kernels.features.kinds import VGG19_LAYERS
from kernels.features.refused import WeightsRefused
from tests.features import nets
from tests.features.nets import LEVELS, SOURCES, UNCLEAR, UNITS, Net, net, pth, torchvision_names

LIKE = 1e-5


def stored(made: Converted, folder: Path) -> Path:
    return store.write(folder / "weights", made)


def apart(found: dict[str, nets.Array], expected: dict[str, nets.Array]) -> float:
    """The largest difference, against the largest value of its layer."""
    return max(float(np.abs(found[name] - expected[name]).max() / np.abs(expected[name]).max()) for name in expected)


@pytest.mark.parametrize("name", SOURCES)
def test_a_file_means_what_it_meant(name: str, tmp_path: Path) -> None:
    source = SOURCES[name]
    made = net(source.first)
    converted = convert(source.write(tmp_path, made))
    assert converted.header.convention == source.convention
    features = nets.darkroom_features(stored(converted, tmp_path))
    assert apart(features, nets.meant(made, source.planes())) < LIKE


def test_the_same_network_from_three_files(tmp_path: Path) -> None:
    """One function as .mat, as Caffe's and as torchvision's file: the same features to 1e-5.

    torchvision's mean is a fraction of a level off, which no kernels make up for; the picture is moved by it instead.
    """
    made = net(LEVELS)
    red_last = made | {"conv1_1.weight": made["conv1_1.weight"][:, ::-1].copy()}
    deviation = 255 * np.array([0.229, 0.224, 0.225], np.float32)[:, None, None]
    for_units = made | {"conv1_1.weight": made["conv1_1.weight"] * deviation}
    files = {
        "mat": (nets.mat(tmp_path / "v.mat", made), None),
        "caffe": (pth(tmp_path / "caffe.pth", torchvision_names(red_last)), None),
        "torchvision": (pth(tmp_path / "tv.pth", torchvision_names(for_units)), Convention.TORCHVISION),
    }
    expected = nets.meant(made, nets.levels_planes())
    for name, (path, said) in files.items():
        converted = convert(path, said)
        for tensor in made:
            assert np.allclose(converted.tensors[tensor], made[tensor], rtol=LIKE, atol=0), (name, tensor)
        mean = np.array(converted.header.mean)
        assert np.abs(mean - nets.RED_FIRST_MEAN).max() < (0.5 if name == "torchvision" else 1e-3)
        moved = nets.meant(converted.tensors, nets.levels_planes(nets.RED_FIRST_MEAN))
        assert apart(moved, expected) < LIKE, name


def test_half_precision_is_taken(tmp_path: Path) -> None:
    made = net(UNITS)
    tensors = {name: values.to(torch.bfloat16) for name, values in torchvision_names(made).items()}
    save_file(tensors, tmp_path / "half.safetensors")
    converted = convert(tmp_path / "half.safetensors")
    assert np.allclose(converted.tensors["conv5_4.weight"], made["conv5_4.weight"], rtol=0.01)
    assert all(values.dtype == np.float32 for values in converted.tensors.values())


def test_darkrooms_own_file_is_taken_as_it_is(tmp_path: Path) -> None:
    first = convert(nets.mat(tmp_path / "v.mat", net()))
    again = convert(stored(first, tmp_path))
    assert again.header == first.header
    assert all(np.array_equal(again.tensors[name], first.tensors[name]) for name in first.tensors)


# -- convention ------------------------------------------------------------------------------------------------------


def test_where_the_convention_cannot_be_told_the_user_is_asked(tmp_path: Path) -> None:
    path = pth(tmp_path / "v.pth", torchvision_names(net(UNCLEAR)))
    with pytest.raises(WeightsRefused, match="cannot be told; say which with --convention caffe or"):
        convert(path)
    assert convert(path, Convention.CAFFE).header.convention == "caffe"
    assert convert(path, Convention.TORCHVISION).header.mean == (123.675, 116.28, 103.53)


def test_what_the_user_says_does_not_overrule_what_is_known(tmp_path: Path) -> None:
    with pytest.raises(WeightsRefused, match="its convention is matconvnet's, by its format; leave out"):
        convert(nets.mat(tmp_path / "v.mat", net()), Convention.CAFFE)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_torchvisions_network_is_known_by_its_first_kernel(dtype: torch.dtype, tmp_path: Path) -> None:
    """As PyTorch prints it; so it is known in files that were saved again, whose hash tells nothing."""
    made = net(UNCLEAR)
    made["conv1_1.weight"][0, 0] = [
        [-5.3474e-02, -4.9257e-02, -6.7942e-02],
        [1.5314e-02, 4.5068e-02, 2.1444e-03],
        [3.6226e-02, 1.9999e-02, 1.9864e-02],
    ]
    tensors = {name: values.to(dtype) for name, values in torchvision_names(made).items()}
    assert convert(pth(tmp_path / "v.pth", tensors)).header.convention == "torchvision"


# -- what is no VGG-19 -----------------------------------------------------------------------------------------------


def without(made: Net, *layers: str) -> Net:
    return {name: values for name, values in made.items() if name.partition(".")[0] not in layers}


def batch_norm() -> dict[str, torch.Tensor]:
    return torchvision_names(net(UNITS)) | {"features.1.running_mean": torch.zeros(5)}


def vgg16() -> dict[str, torch.Tensor]:
    places = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
    return {f"features.{place}.{part}": torch.ones(1) for place in places for part in ("weight", "bias")}


def changed(name: str, values: Any) -> dict[str, torch.Tensor]:
    return nets.layer_names(net() | {name: np.asarray(values, np.float32)})


@pytest.mark.parametrize(
    ("tensors", "told"),
    [
        (batch_norm, "a network with batch normalisation"),
        (vgg16, "a VGG-16"),
        (lambda: nets.layer_names(without(net(), "conv3_4", "conv4_4", "conv5_4")), "a VGG-16"),
        (lambda: nets.layer_names(without(net(), "conv5_4")), r"conv5_4\.weight is not in it"),
        (lambda: {"layer1.0.conv1.weight": torch.ones(3)}, "no layers of a VGG"),
        (lambda: {"features.3.weight": torch.ones(3)}, "in no order of a VGG"),
        (lambda: changed("conv2_1.weight", np.ones((6, 5, 3, 3))), "conv2_1 has kernels of shape"),
        (lambda: changed("conv1_1.weight", np.ones((5, 1, 3, 3))), "conv1_1 has kernels of shape"),
        (lambda: changed("conv3_2.bias", np.ones(2)), "conv3_2 has kernels of shape"),
        (lambda: changed("conv3_2.bias", np.full(5, np.nan)), "conv3_2 has values that are no numbers"),
    ],
)
def test_another_network_is_refused_in_words(tensors: Any, told: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsRefused, match=told):
        convert(pth(tmp_path / "v.pth", tensors()))


# -- what is no file of weights --------------------------------------------------------------------------------------

FILES = {
    "empty": (b"", "empty; fetch it again"),
    "zeros": (bytes(2000), "nothing but zeros"),
    "page": (b"\xef\xbb\xbf\n <!DOCTYPE html><html>Not Found", "a web page, not weights"),
    "xml": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "a web page, not weights"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "Git LFS pointer"),
    "text": (b"Quota exceeded\nTry again later", "a text that begins with 'Quota exceeded'"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(600), "version 7.3"),
    "unknown": (b"\x0a\x10VGG_ILSVRC_19_la" + bytes(600), "of no format known here"),
    "pickle": (pickle.dumps({"a": 1}), "a pickle, but not PyTorch's"),
    "header": (struct.pack("<Q", 12) + b"{ no header }" + bytes(600), "its header is damaged"),
}


@pytest.mark.parametrize("name", FILES)
def test_what_lies_around_under_the_name_of_weights(name: str, tmp_path: Path) -> None:
    content, told = FILES[name]
    path = tmp_path / "vgg19.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsRefused, match=told) as refused:
        convert(path)
    assert str(refused.value).startswith(f"{path}: ") and "\n" not in str(refused.value)


@pytest.mark.parametrize("first", [0x80, ord("<"), 0x8A])
def test_a_safetensors_file_may_begin_with_any_byte(first: int, tmp_path: Path) -> None:
    """It begins with the length of its header, which may look like a pickle or a page."""
    plain = nets.tensors_file(tmp_path / "v.safetensors", nets.layer_names(net())).read_bytes()
    length = int.from_bytes(plain[:8], "little")
    padding = (first - length) % 256
    padded = struct.pack("<Q", length + padding) + plain[8 : 8 + length] + b" " * padding + plain[8 + length :]
    (tmp_path / "v.safetensors").write_bytes(padded)
    assert padded[0] == first and convert(tmp_path / "v.safetensors").header.convention == "caffe"


@pytest.mark.parametrize("name", [name for name in SOURCES if "wrapped" not in name])
@pytest.mark.parametrize("part", [0.995, 0.5, 0.01])
def test_a_truncated_file_is_told_to_be_one(name: str, part: float, tmp_path: Path) -> None:
    path = SOURCES[name].write(tmp_path, net(SOURCES[name].first))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(WeightsRefused, match=r"truncated: [0-9,]+ bytes"):
        convert(path)


def test_a_hash_in_the_name_must_be_the_files(tmp_path: Path) -> None:
    path = pth(tmp_path / "vgg19-d01eb7cb.pth", torchvision_names(net(UNITS)))
    with pytest.raises(WeightsRefused, match=r"damaged: its SHA-256 begins with .*should begin with d01eb7cb"):
        convert(path)
    with pytest.raises(WeightsRefused, match=r"truncated: [0-9,]+ bytes, expected 574,673,361"):
        convert(path, name="vgg19-dcbb9e9d.pth")


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_is_not_executed(legacy: bool, tmp_path: Path) -> None:
    sign = tmp_path / "executed"
    path = pth(tmp_path / "v.pth", {**torchvision_names(net(UNITS)), "extra": Evil(sign)}, legacy)
    with pytest.raises(WeightsRefused, match="more than tensors, and is not loaded"):
        convert(path)
    assert not sign.exists()
    torch.load(path, weights_only=False)
    assert sign.exists(), "else the test proves nothing"


def test_a_whole_model_is_not_loaded(tmp_path: Path) -> None:
    path = pth(tmp_path / "v.pth", torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3)))
    with pytest.raises(WeightsRefused, match="more than tensors"):
        convert(path)


# -- the stored file -------------------------------------------------------------------------------------------------


def test_only_the_tensors_named_are_read(tmp_path: Path) -> None:
    path = stored(convert(nets.mat(tmp_path / "v.mat", net())), tmp_path)
    tensors, mean = store.read(path, ["conv1_1.weight", "conv2_1.bias"])
    assert list(tensors) == ["conv1_1.weight", "conv2_1.bias"] and mean == pytest.approx(nets.RED_FIRST_MEAN)
    assert store.header(path).layers == VGG19_LAYERS
    with pytest.raises(WeightsRefused, match="damaged"):
        store.read(path, ["conv9_9.weight"])


def test_a_changed_bit_is_found_and_identity_follows_content(tmp_path: Path) -> None:
    path = stored(convert(nets.mat(tmp_path / "v.mat", net())), tmp_path)
    first = store.identity(path)
    assert store.verify(path) and first.startswith("vgg19:")
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    assert not store.verify(path)
    stored(convert(nets.mat(tmp_path / "w.mat", net(seed=1))), tmp_path)
    assert store.verify(path) and store.identity(path) != first
    assert [file.name for file in path.parent.iterdir()] == [path.name], "nothing else is left"
