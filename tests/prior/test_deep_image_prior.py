"""The task as its users see it: damaged photographs in, better ones out, and the reason where nothing can be done."""

from __future__ import annotations

import io
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from kernels import adam, prior_stop
from kernels.chain import ChainError, parse_chain
from kernels.tasks import TaskRefused, TaskStarved
from tests.kernels.hybrids import photograph
from tests.prior.runs import decibels, needs_bfloat16, noisy, run


def masked(picture: Tensor, share: float = 0.5) -> Tensor:
    """A mask that is black for so many of the pixels, drawn at random."""
    drawn = torch.rand(picture.shape[:2], generator=torch.Generator().manual_seed(0))
    return torch.where(drawn < share, 0, 255).to(torch.uint8)[:, :, None].repeat(1, 1, 3)


def test_noise_goes_and_it_stops_by_itself() -> None:
    """Better by far than what was given, as good as its best step; it says when it stopped, and why."""
    whole, given = noisy("chelsea", 64, 64)
    done = run({"picture": given}, look=True, patience=100)
    curve = [decibels(picture, whole) for picture in done.previews]
    after = decibels(done.picture, whole)
    assert after > decibels(given, whole) + 4 and after > max(curve) - 0.7
    assert curve[-1] < max(curve) and len(curve) < 3000, "it begins to learn the noise, and is stopped"
    assert done.result is not None
    stopped, least = done.result.told
    assert stopped == f"stopped at {len(curve):,} of 3,000"
    assert least == f"the error of held-out pixels was least at {done.record['least_at']:,}"
    assert len(curve) - 110 <= done.record["least_at"] <= len(curve) - 100
    errors = [losses["held_out"] for losses in done.losses]
    assert min(errors) == pytest.approx(errors[done.record["least_at"] - 1])
    assert set(done.losses[0]) == {"loss", "variance", "held_out"}
    assert torch.equal(done.previews[done.record["least_at"] - 1], done.picture)


def test_stopped_by_the_variance() -> None:
    """The other signal, which no pixel has to be held out for."""
    whole, given = noisy("chelsea", 64, 64)
    done = run({"picture": given}, stop="variance", patience=60)
    assert decibels(done.picture, whole) > decibels(given, whole) + 4
    assert done.result is not None
    at, taken = done.record["least_at"], done.record["taken_at"]
    assert done.result.told == (
        f"stopped at {len(done.losses):,} of 3,000",
        f"the variance of its answers was least at {at:,}",
        f"the picture is the average at {taken:,}",
    )
    assert taken == min(at + prior_stop.LAG, len(done.losses)) and set(done.losses[0]) == {"loss", "variance"}


def test_jpeg_artefacts() -> None:
    whole, file = photograph("coffee", 64, 64), io.BytesIO()
    Image.fromarray(whole.numpy()).save(file, "JPEG", quality=10)
    given = torch.from_numpy(np.array(Image.open(file)))
    done = run({"picture": given}, job="jpeg", iterations=160)
    assert decibels(done.picture, whole) > decibels(given, whole) + 0.3


def test_missing_pixels() -> None:
    """Those that were kept are the same to the last bit; those that were not are what the photograph had there."""
    whole = photograph("coffee", 64, 80)
    mask = masked(whole)
    given = torch.where(mask > 0, whole, 0)
    done = run({"picture": given, "mask": mask}, job="inpaint", iterations=120, stop="fixed")
    kept = mask[:, :, 0] > 0
    assert torch.equal(done.picture[kept], whole[kept])
    assert decibels(done.picture[~kept], whole[~kept]) > 21
    other = torch.where(mask > 0, whole, 255)
    again = run({"picture": other, "mask": mask}, job="inpaint", iterations=3, stop="fixed")
    first = run({"picture": given, "mask": mask}, job="inpaint", iterations=3, stop="fixed")
    assert torch.equal(again.picture, first.picture), "what is black there is not looked at"


@pytest.mark.parametrize("factor", [2, 3, 8])
def test_larger_by_any_factor(factor: int) -> None:
    given = photograph("chelsea", 16, 21)
    done = run({"picture": given}, job="super_resolution", factor=factor, iterations=2)
    assert done.picture.shape == (16 * factor, 21 * factor, 3)


def test_larger_is_better_than_bicubic() -> None:
    whole = photograph("astronaut", 64, 64)
    small = Image.fromarray(whole.numpy()).resize((16, 16), Image.Resampling.LANCZOS)
    bicubic = torch.from_numpy(np.array(small.resize((64, 64), Image.Resampling.BICUBIC)))
    done = run({"picture": torch.from_numpy(np.array(small))}, job="super_resolution", iterations=120)
    assert decibels(done.picture, whole) > decibels(bicubic, whole) + 0.3


@pytest.mark.parametrize(("height", "width"), [(32, 32), (33, 65), (75, 101)])
def test_any_size(height: int, width: int) -> None:
    done = run({"picture": photograph("coffee", height, width)}, iterations=2, look=True, compare=True)
    assert done.picture.shape == done.previews[0].shape == (height, width, 3)
    assert done.result is not None
    compare = done.result.beside["compare"]
    assert compare.shape == (height, 2 * width, 3) and torch.equal(compare[:, width:], done.picture)
    assert torch.equal(compare[:, :width], photograph("coffee", height, width))


def test_grey_stays_grey() -> None:
    grey = photograph("chelsea", 40, 40)[:, :, 1:2].repeat(1, 1, 3)
    done = run({"picture": grey}, iterations=5)
    assert torch.equal(done.picture[:, :, :1].expand(-1, -1, 3), done.picture)


@needs_bfloat16
def test_half_the_digits_are_as_good() -> None:
    """bfloat16 against float32 from the same seed."""
    whole, given = noisy("chelsea", 64, 64)
    after = [
        decibels(run({"picture": given}, precision=kind, iterations=100).picture, whole)
        for kind in ("float32", "bfloat16")
    ]
    assert abs(after[0] - after[1]) < 0.5, "one small picture; the mean over photographs is a benchmark"


def test_the_seed_decides() -> None:
    _, given = noisy()
    one, same, other = (run({"picture": given}, iterations=3, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.picture, same.picture) and not torch.equal(one.picture, other.picture)


PRESETS = [
    ("denoise", "paper"), ("jpeg", "paper"), ("super_resolution", "paper"),
    *(("inpaint", preset) for preset in ("paper", "text", "hole", "smooth_hole", "pixels")),
]  # fmt: skip


@pytest.mark.parametrize(("job", "preset"), PRESETS)
def test_the_authors_settings(job: str, preset: str) -> None:
    """They run as their authors have them, and the loss falls."""
    picture = photograph("coffee", 64, 64) if job != "super_resolution" else photograph("coffee", 16, 16)
    inputs = {"picture": picture, **({"mask": masked(picture, 0.2)} if job == "inpaint" else {})}
    done = run(inputs, job=job, preset=preset, stop="fixed", iterations=12)
    assert done.losses[-1]["loss"] < done.losses[0]["loss"]
    assert done.result is not None and done.result.told == ("stop: fixed, after all of 12",)


@pytest.mark.usefixtures("tiles_of_128")
def test_large_pictures_in_tiles() -> None:
    """Each its own prior, and a preview that is whole all the time."""
    whole = photograph("astronaut", 60, 200)
    done = run({"picture": whole}, iterations=2, look=True)
    assert done.record["tiles"] == 4
    made = [told.step for told in done.told]
    assert sorted({*made}) == [*range(1, 9)]
    assert [step for step, next in pairwise(made) if step == next] == [2, 4, 6], (
        "a sign of life after each but the last"
    )
    assert all(preview.shape == whole.shape for preview in done.previews)
    assert torch.equal(done.previews[0][:, -50:], whole[:, -50:]), "of a tile that was not begun"
    assert run({"picture": whole[:, :128]}, iterations=1).record["tiles"] == 1


@pytest.mark.usefixtures("tiles_of_128")
def test_only_what_has_holes_is_worked_on() -> None:
    """Tiles with nothing to fill in stay as they are; of one without a kept pixel nothing can be made."""
    whole = photograph("astronaut", 60, 200)
    mask = torch.full_like(whole, 255)
    mask[10:30, 2:14] = 0
    given = torch.where(mask > 0, whole, 0)
    done = run({"picture": given, "mask": mask}, job="inpaint", iterations=2, look=True, compare=True)
    assert done.record["tiles"] == 1 and [told.step for told in done.told] == [1, 2]
    for shown in (*done.previews, done.picture):
        assert torch.equal(shown[mask > 0], whole[mask > 0]) and not torch.equal(shown, given)
    assert done.result is not None and bool((done.result.beside["compare"][10:30, 2:14] == 127).all())
    mask[:, :190] = 0
    with pytest.raises(TaskRefused, match="at row 0, column 0 nearly none is kept: there is nothing to go by; make"):
        run({"picture": given, "mask": mask}, job="inpaint")


def test_steps_that_lead_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no number any more is never published."""
    monkeypatch.setattr(adam, "moved", lambda state, x, gradient, rate: state.update(step=state["step"] + 1) or x / 0)
    with pytest.raises(TaskRefused, match=r"values beyond all numbers\); give a smaller learning_rate"):
        run({"picture": photograph("coffee", 40, 40)}, iterations=3)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a mask of another size": ({"mask": photograph("coffee", 40, 41)}, "the mask has 41×40 pixels, the picture 40×40"),
    "a white mask": (
        {"mask": torch.full((40, 40, 3), 255, dtype=torch.uint8)},
        "nothing to fill in: the mask is white all",
    ),
    "a black mask": (
        {"mask": torch.zeros((40, 40, 3), dtype=torch.uint8)},
        "there is nothing to go by: the mask is black all over",
    ),
    "no mask": ({}, "has no transparent part, and there is no mask; give one, white where"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_nothing_can_be_done(what: str) -> None:
    more, reason = REFUSED[what]
    with pytest.raises(TaskRefused, match=reason):
        run({"picture": photograph("coffee", 40, 40), **more}, job="inpaint")


def test_too_small() -> None:
    with pytest.raises(TaskRefused, match="90×20 pixels are too few: the result needs 32 a side"):
        run({"picture": photograph("coffee", 20, 90)})
    done = run({"picture": photograph("coffee", 20, 90)}, job="super_resolution", factor=2, iterations=1)
    assert done.picture.shape == (40, 180, 3)


def test_too_long_to_be_compared() -> None:
    strip = torch.zeros(40, 65_537, 3, dtype=torch.uint8)
    with pytest.raises(TaskRefused, match="have 65537×80 pixels together, and a JPEG 65,535 a side at most; remove"):
        run({"picture": strip}, compare=True)


@pytest.mark.parametrize(("size", "cheaper"), [("standard", "size: small, or "), ("small", "")])
def test_too_little_memory(size: str, cheaper: str) -> None:
    remedy = f"give it a smaller picture, or {cheaper}more memory"
    with pytest.raises(TaskStarved, match=rf"64×64 needs [0-9]+ MiB at least, and 8 MiB can be had; {remedy}$"):
        run({"picture": photograph("coffee", 64, 64)}, memory=8 << 20, size=size)


@pytest.mark.parametrize(
    ("parameters", "fault"),
    [
        ({"factor": 2}, "factor goes with job: super_resolution"),
        ({"job": "jpeg", "preset": "hole"}, "the preset hole is for job: inpaint; give one of fast, paper"),
        ({"job": "jpeg", "stop": "held_out"}, "held_out goes with denoise and inpaint; give one of auto, variance"),
        ({"job": "sharpen"}, "'sharpen'"),
        ({"job": "super_resolution", "factor": 9}, "out of range; give 2–8"),
    ],
)
def test_parameters_that_do_not_fit(parameters: dict[str, Any], fault: str) -> None:
    with pytest.raises(ChainError, match=fault):
        parse_chain({"deep_image_prior": parameters})
