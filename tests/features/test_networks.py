"""The networks' own code: efficientnet-lite0 against its authors' package, VGG-19 against a plain one."""

from __future__ import annotations

import importlib
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from kernels.features import pickled, store
from kernels.features.convention import VGG_MEAN
from kernels.features.convolution import convolved, layout, widened
from kernels.features.kinds import KINDS, LITE0, LITE0_LAYERS, RANDOM, VGG19, VGG19_LAYERS
from kernels.features.networks import WeightsMissing, available, choose, identity, judge_of, load
from kernels.features.vgg19 import random_tensors, vgg19
from tests.kernels.hybrids import photograph

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def levels() -> Tensor:
    return photograph("astronaut", 96, 128).permute(2, 0, 1).float()


def test_lite0_gives_the_features_of_its_authors_code(levels: Tensor) -> None:
    """Batch norms are folded into convolutions here; all sixteen blocks and the stem agree to 1e-4 of the largest."""
    package: Any = importlib.import_module("efficientnet_lite_pytorch")
    network = package.EfficientNet.from_name("efficientnet-lite0").eval()
    path = store.find(LITE0)
    assert path is not None
    network.load_state_dict(pickled.read(path))
    trunk, found = load(LITE0, LITE0_LAYERS, CPU), dict[str, Tensor]()
    for name, module in zip(LITE0_LAYERS, [network._bn0, *network._blocks], strict=True):
        module.register_forward_hook(lambda _m, _x, answer, name=name: found.__setitem__(name, answer[0].detach()))
    with torch.no_grad():
        network.extract_features((levels[None] - 127) / 128)
        found["stem"] = found["stem"].clamp(0, 6)
        for name, features in trunk(levels).items():
            assert features.shape == found[name].shape
            assert (features - found[name]).abs().max() < 1e-4 * found[name].abs().max(), name


@pytest.mark.parametrize("ceiling", [6.0, math.inf])
@pytest.mark.parametrize(
    ("size", "stride", "groups"), [(1, 1, 1), (3, 1, 4), (5, 1, 4), (3, 2, 4), (5, 2, 4), (3, 2, 1)]
)
def test_a_convolution_there_and_back(size: int, stride: int, groups: int, ceiling: float) -> None:
    """As PyTorch's own, from a padded picture; with answers that are cut at either end."""
    generator = torch.Generator().manual_seed(size)
    weight = torch.randn(4, 4 // groups, size, size, generator=generator)
    bias, before = torch.randn(4, generator=generator), (size - stride) // 2
    x = (4 * torch.randn(1, 4, 12, 8, generator=generator)).requires_grad_()
    padded = nn.functional.pad(x, (before, size - stride - before) * 2)
    plain = nn.functional.hardtanh(nn.functional.conv2d(padded, weight, bias, stride, groups=groups), 0, ceiling)
    if size > 1:
        assert (plain == 0).any() and (plain == ceiling).any() == (ceiling == 6)
    kernel = widened(weight) if stride == 2 else weight
    ours = convolved(x, layout(kernel, CPU), bias, stride=stride, groups=groups, ceiling=ceiling)
    slope = torch.randn(plain.shape, generator=generator)
    (there,), (back,) = (torch.autograd.grad(answer, x, slope) for answer in (plain, ours))
    assert torch.allclose(ours, plain, atol=1e-5) and torch.allclose(back, there, atol=1e-5)


def test_vgg19_is_what_its_authors_describe(levels: Tensor) -> None:
    """Sixteen convolutions with ReLU, and four times the mean of 2×2 between them."""
    tensors = random_tensors(VGG19_LAYERS)
    plain, x = dict[str, Tensor](), levels[None] - torch.tensor(VGG_MEAN)[:, None, None]
    for name in VGG19_LAYERS:
        if name.endswith("_1") and name != "conv1_1":
            x = nn.functional.avg_pool2d(x, 2)
        x = nn.functional.relu(nn.functional.conv2d(x, tensors[f"{name}.weight"], tensors[f"{name}.bias"], padding=1))
        plain[name] = x[0]
    for name, features in vgg19("x", tensors, VGG_MEAN, VGG19_LAYERS, CPU)(levels).items():
        assert (features - plain[name]).abs().max() <= 1e-5 * plain[name].abs().max(), name


def test_features_by_chance_are_always_the_same_and_do_not_fade(levels: Tensor) -> None:
    one = load(RANDOM, ["conv1_1", "conv5_1"], CPU)(levels)
    again = vgg19("again", random_tensors(VGG19_LAYERS), VGG_MEAN, ["conv1_1", "conv5_1"], CPU)(levels)
    for name, features in one.items():
        assert torch.equal(features, again[name]), "however many layers are made"
        assert 10 < features.square().mean().sqrt() < 1000, "as large as the levels they come from"


def test_nothing_beyond_the_last_layer_is_computed(levels: Tensor) -> None:
    trunk = load(RANDOM, ["conv2_1"], CPU)
    assert list(trunk(levels)) == ["conv2_1"] and trunk.scales == {"conv2_1": 2}
    assert trunk.footprint(CPU).weights == 4 * 9 * (3 * 64 + 64 * 64 + 64 * 128)


def test_without_a_vgg(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("DARKROOM_WEIGHTS", str(tmp_path))
    assert list(available()) == [LITE0, RANDOM]
    assert choose("auto", []) == LITE0 and choose("auto", ["conv3_1"]) == RANDOM and choose(RANDOM, []) == RANDOM
    assert (judge_of(LITE0), judge_of(RANDOM), judge_of(VGG19)) == (RANDOM, LITE0, LITE0)
    with pytest.raises(WeightsMissing, match="there are no weights of vgg19 here; `darkroom weights fetch vgg19`"):
        choose(VGG19, [])
    monkeypatch.setattr(store, "_packaged", lambda: None)
    with pytest.raises(WeightsMissing, match="no weights of efficientnet-lite0 here"):
        choose("auto", ["block4"])
    assert choose("auto", []) == RANDOM and judge_of(RANDOM) is None, "the last resort is always there"


def test_identities_differ() -> None:
    assert identity(LITE0) != identity(RANDOM)
    for kind in KINDS.values():
        assert set(kind.content) | set(kind.style) <= set(kind.layers)
