"""`make demo`: sample photographs into every shipped rule, one run, and where the results are."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from skimage import data

from benchmarks.damages import DAMAGES, photograph
from daemon.config import load_config
from daemon.life.lock import alive
from daemon.model import Config, Rule

CONFIG = Path(__file__).parents[1] / "config.yaml"
COMMAND = Path(sys.executable).with_name("darkroom")
SIDE = 128
DAMAGE = {"denoise": "noise25", "jpeg": "jpeg10", "super_resolution": "small4", "inpaint": "text"}


def photographs() -> Iterator[tuple[str, Image.Image]]:
    """Photographs that scikit-image ships, all free to use: (file name, picture)."""
    yield "astronaut.jpg", Image.fromarray(data.astronaut())
    yield "cat.webp", Image.fromarray(data.chelsea())
    yield "coffee.png", Image.fromarray(data.coffee())
    yield "rocket.jpg", Image.fromarray(data.rocket())


def drop(config: Config) -> None:
    """Save the photographs in every watched folder; a rule with several inputs gets one for each, named as it wants.

    Where but one of the inputs varies, every photograph is one.
    """
    for rule in config.rules:
        if rule.chain[0].name == "deep_image_prior":
            drop_damaged(rule)
            continue
        varying = [item.pattern.text for item in rule.inputs if item.pattern is not None]
        names = [text.replace("{key}", "portrait").replace("*", "jpg") for text in varying if len(varying) > 1]
        for folder in rule.watch:
            for number, (name, picture) in enumerate(photographs()):
                if not names:
                    save(picture, folder / name)
                elif number < len(names):
                    save(picture, folder / names[number])


def drop_damaged(rule: Rule) -> None:
    """A small portrait, damaged as the rule's job wants it: a large one would take an hour."""
    damaged = DAMAGES[DAMAGE[str(dict(rule.chain[0].parameters)["job"])]](photograph("astronaut", SIDE), 0)
    patterns = {each.role: each.pattern.text for each in rule.inputs if each.pattern is not None}
    for role, pixels in damaged.inputs.items():
        name = patterns.get(role, "{key}.*").replace("{key}", "portrait").replace("*", "png")
        save(Image.fromarray(pixels), rule.watch[0] / name)


def save(picture: Image.Image, target: Path) -> None:
    """Under a temporary name first, as a careful program does."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}")
    picture.save(temporary, format=Image.registered_extensions()[target.suffix], quality=92)
    temporary.replace(target)


def main() -> int:
    """The exit status of the run; 0 if a daemon that runs already has the pictures now."""
    config = load_config(CONFIG)
    drop(config)
    status = 0
    print(f"Tasks are trained for each picture: ten to twenty minutes on two cores. `{COMMAND} status` tells how far.")
    running = alive(config.state_dir)
    if running:
        print("A darkroom is running here already: it has the pictures now.")
    else:
        status = subprocess.run(
            [sys.executable, "-m", "daemon.cli", "run", "--once", "-c", str(CONFIG)], check=False
        ).returncode
    print("\nThe results will be in:" if running else "\nThe results:")
    for rule in config.rules:
        print(f"  {rule.name:12} {rule.output.folder if rule.publishes else f'{rule.report}/report.html'}")
    return status


if __name__ == "__main__":
    sys.exit(main())
