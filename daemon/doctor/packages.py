"""The packages, by the standard library alone: whatever is missing, this can be told."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError

from daemon.doctor.values import Finding, fault, ok
from daemon.pip import install, pip
from daemon.version import version_of

AREA = "packages"
RUNTIME, GPU_RUNTIME = "onnxruntime", "onnxruntime-gpu"
PACKAGES = (
    "jinja2", "numpy", "onnx", GPU_RUNTIME, "onnxscript", "opencv-python-headless", "pillow", "prometheus-client",
    "pydantic", "pyyaml", "rich", "safetensors", "simplejpeg", "torch", "watchdog",
)  # fmt: skip
OF_MODULES = {
    "cv2": "opencv-python-headless", "PIL": "pillow", "yaml": "pyyaml", RUNTIME: GPU_RUNTIME,
}  # fmt: skip


def examine() -> Iterator[Finding]:
    """Are all there, and does none stand in another's way?"""
    found = {name: number for name in (*PACKAGES, RUNTIME) if (number := version_of(name))}
    missing = [name for name in PACKAGES if name not in found]
    if RUNTIME in found and GPU_RUNTIME in missing:
        missing.remove(GPU_RUNTIME)  # one module: NVIDIA advises this one beside TensorRT-RTX
    if missing:
        yield fault(AREA, ", ".join(missing), "not installed", install(" ".join(missing)))
    if RUNTIME in found and GPU_RUNTIME in found:
        command = f"{pip(f'uninstall -y {RUNTIME} {GPU_RUNTIME}')} && {pip(f'install {GPU_RUNTIME}')}"
        told = f"`{command}=={found[GPU_RUNTIME]}`"
        yield fault(AREA, RUNTIME, f"stands beside {GPU_RUNTIME}: both are one module", told)
    yield ok(AREA, "", ", ".join(f"{name} {number}" for name, number in found.items()))


def not_importable(area: str, error: ImportError) -> Finding:
    """An area that cannot be looked at, for want of a package or because one is broken."""
    module = (error.name or "").partition(".")[0]
    package = OF_MODULES.get(module, module)
    if isinstance(error, PackageNotFoundError):
        return fault(
            area, "", f"cannot be looked at: {package} is not installed, or its metadata is gone", _again(package)
        )
    if isinstance(error, ModuleNotFoundError):
        return fault(area, "", f"cannot be looked at: {package or error} is not installed", _again(package))
    return fault(area, "", f"cannot be looked at: {str(error).partition(chr(10))[0]}", _again(package))


def _again(package: str) -> str:
    if package:
        return install(f"--force-reinstall {package}" if version_of(package) else package)
    return "`darkroom doctor --debug` tells more"
