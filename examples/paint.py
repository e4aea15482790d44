"""Paints night.jpg, the style picture of the shipped config.yaml: strokes that follow eddies under a night sky.

python examples/paint.py night.png
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Iterator

from PIL import Image, ImageDraw

WIDTH, HEIGHT, SEED = 720, 540, 7
SUPERSAMPLING = 2
Color = tuple[int, int, int]
EDDIES = (
    (0.28, 0.30, 0.16, 1), (0.62, 0.22, 0.11, -1), (0.86, 0.38, 0.12, 1),
    (0.47, 0.55, 0.13, -1), (0.12, 0.62, 0.12, -1), (0.76, 0.66, 0.10, 1),
)  # fmt: skip
"""Centre and radius in shares of the width and the height, and the sense in which they turn."""
NIGHT: tuple[Color, ...] = ((18, 32, 84), (28, 62, 132), (52, 104, 170), (108, 156, 192), (14, 22, 54))
GLOW: tuple[Color, ...] = ((246, 206, 84), (250, 228, 140), (232, 160, 52), (255, 244, 196))
LAND: tuple[Color, ...] = ((20, 48, 44), (36, 76, 58), (78, 104, 62), (14, 26, 34), (120, 112, 58))
COATS = ((2500, 16, 70), (5000, 9, 52), (9000, 5, 34))
"""Strokes, their width and their length, from the ground to the finest."""
STEP = 1.4 * 2 * SUPERSAMPLING  # pixels from one point of a stroke to the next


def eddy_distances(x: float, y: float) -> Iterator[tuple[float, float, float, int]]:
    """The way from each eddy to a place, with its radius and sense."""
    for centre_x, centre_y, radius, sense in EDDIES:
        yield x - centre_x, (y - centre_y) * HEIGHT / WIDTH, radius, sense


def flow(x: float, y: float) -> tuple[float, float]:
    """Where a stroke goes in the sky."""
    across, down = 1.0, 0.25 * math.sin(5 * x)
    for off_x, off_y, radius, sense in eddy_distances(x, y):
        pull = 3.2 * math.exp(-(off_x**2 + off_y**2) / (2 * radius**2)) / (math.hypot(off_x, off_y) + 1e-6)
        across, down = across - sense * pull * off_y, down + sense * pull * off_x
    return across, down


def in_sky(x: float, y: float) -> bool:
    return y <= 0.80 + 0.07 * math.sin(4.2 * x + 1) + 0.03 * math.sin(11 * x)


def color_at(x: float, y: float, chance: random.Random) -> Color:
    """The colour of a stroke that begins here."""
    if not in_sky(x, y):
        base = chance.choice(LAND)
    elif chance.random() < 1.1 * max(
        math.exp(-(a * a + b * b) / (2 * (0.32 * radius) ** 2)) for a, b, radius, _ in list(eddy_distances(x, y))[:5]
    ):
        base = chance.choice(GLOW)
    else:
        ring = 0.5 + 0.5 * math.sin(60 * min(math.hypot(a, b) for a, b, _, _ in eddy_distances(x, y)))
        shade = min(3, int(ring * 2.2 + chance.random() * 1.8))
        base = NIGHT[shade] if chance.random() > 0.08 else NIGHT[4]
    tint = chance.gauss(0, 9)
    red, green, blue = (int(level + tint + chance.gauss(0, 5)) for level in base)
    return lighter((red, green, blue), 0)


def lighter(color: Color, by: int) -> Color:
    red, green, blue = (max(0, min(255, level + by)) for level in color)
    return red, green, blue


def stroke(x: float, y: float, length: int) -> list[tuple[float, float]]:
    """The points of a stroke, in pixels of the large picture."""
    scale_x, scale_y, sky = WIDTH * SUPERSAMPLING, HEIGHT * SUPERSAMPLING, in_sky(x, y)
    points = [(x * scale_x, y * scale_y)]
    for _ in range(length // 4):
        at_x, at_y = points[-1]
        across, down = flow(at_x / scale_x, at_y / scale_y) if sky else (0.5 + 0.5 * math.sin(9 * x), -0.9)
        norm = math.hypot(across, down) + 1e-6
        points.append((at_x + STEP * across / norm, at_y + STEP * down / norm))
    return points


def paint() -> Image.Image:
    """The picture, always the same."""
    chance = random.Random(SEED)
    picture = Image.new("RGB", (WIDTH * SUPERSAMPLING, HEIGHT * SUPERSAMPLING), (22, 40, 92))
    draw = ImageDraw.Draw(picture)
    for count, width, length in COATS:
        for _ in range(count):
            x, y = chance.random(), chance.random()
            color, points = color_at(x, y, chance), stroke(x, y, length)
            broad = int(width * chance.uniform(0.7, 1.3) * SUPERSAMPLING / 1.4)
            draw.line(points, fill=color, width=broad, joint="curve")
            for end_x, end_y in (points[0], points[-1]):
                half = broad / 2
                draw.ellipse([end_x - half, end_y - half, end_x + half, end_y + half], fill=color)
            for aside, by in ((-0.28, 26), (0.3, -22)):  # the bristles' marks: one lit, one in shade
                beside = [(a + 0.9 * aside * broad, b + 0.9 * aside * broad) for a, b in points]
                draw.line(beside, fill=lighter(color, by), width=max(1, broad // 4), joint="curve")
    return picture.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    paint().save(sys.argv[1] if len(sys.argv) > 1 else "night.png")
