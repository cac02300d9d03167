#!/usr/bin/env python3
"""Draws the demo's two pictures, a mountain lake at dawn and a town by night, with nothing but
the standard library: examples/draw.py DIRECTORY writes dawn.png and night.png there.
"""
import math
import os
import random
import struct
import sys
import zlib

WIDTH, HEIGHT = 405, 720


def write_png(path, rows):
    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    raw = b"".join(b"\0" + bytes(row) for row in rows)
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    with open(path, "wb") as out:
        out.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
                  + chunk(b"IDAT", zlib.compress(raw, 6)) + chunk(b"IEND", b""))


def mix(a, b, t):
    t = min(1.0, max(0.0, t))
    return tuple(x + (y - x) * t for x, y in zip(a, b))


def ramp(stops, t):
    """The colour at `t` of a list of (place, colour)."""
    for (start, a), (end, b) in zip(stops, stops[1:]):
        if t <= end:
            return mix(a, b, (t - start) / (end - start))
    return stops[-1][1]


def ridge(seed, roughness):
    """A skyline: a few waves of falling height."""
    dice = random.Random(seed)
    waves = [(dice.uniform(0.6, 1.4) * 2 ** i, dice.uniform(0, 6.28), roughness / 2 ** i) for i in range(6)]
    return [sum(height * math.sin(6.28 * f * x / WIDTH + phase) for f, phase, height in waves)
            for x in range(WIDTH)]


def dawn():
    sky = [(0.0, (38, 52, 98)), (0.25, (120, 105, 150)), (0.45, (240, 160, 130)), (0.58, (255, 214, 160))]
    ranges = [(0.50, ridge(3, 46), (150, 120, 150)), (0.55, ridge(8, 38), (96, 84, 122)),
              (0.60, ridge(21, 26), (44, 46, 78))]
    sun_x, sun_y, shore = 0.64 * WIDTH, 0.44 * HEIGHT, int(0.63 * HEIGHT)
    rows = []

    def above(x, y):
        colour = ramp(sky, y / HEIGHT)
        distance = math.hypot(x - sun_x, y - sun_y)
        colour = mix(colour, (255, 244, 214), math.exp(-((distance / 46) ** 4)) + 0.5 * math.exp(-distance / 120))
        for level, line, shade in ranges:
            if y > level * HEIGHT + line[x]:
                haze = (y - level * HEIGHT - line[x]) / (0.16 * HEIGHT)
                colour = mix(shade, (214, 160, 150), 0.35 * min(1, haze))
        return colour

    for y in range(HEIGHT):
        row = bytearray()
        for x in range(WIDTH):
            if y <= shore:
                colour = above(x, y)
            else:
                depth = (y - shore) / (HEIGHT - shore)
                ripple = int(3 * math.sin(y * 0.9 / (0.3 + depth)) + 2 * math.sin(x * 0.05 + y * 0.4))
                mirrored = above(min(WIDTH - 1, max(0, x + ripple)), max(0, int(shore - (y - shore) * 1.1)))
                colour = mix(mirrored, (18, 30, 62), 0.25 + 0.6 * depth)
            row += bytes(int(c) for c in colour)
        rows.append(row)
    return rows


def night():
    dice = random.Random(5)
    stars = {(dice.randrange(WIDTH), dice.randrange(HEIGHT // 2)): dice.uniform(60, 220) for _ in range(260)}
    houses, x = [], 0
    while x < WIDTH:
        width = dice.randrange(34, 74)
        houses.append((x, x + width, int(HEIGHT * dice.uniform(0.48, 0.74)), dice.random()))
        x += width
    moon_x, moon_y = 0.3 * WIDTH, 0.2 * HEIGHT
    rows = []
    for y in range(HEIGHT):
        row = bytearray()
        for x in range(WIDTH):
            colour = ramp([(0, (10, 14, 40)), (0.5, (36, 40, 92)), (0.8, (92, 64, 110))], y / HEIGHT)
            distance = math.hypot(x - moon_x, y - moon_y)
            colour = mix(colour, (250, 244, 222), math.exp(-((distance / 52) ** 8)) + 0.35 * math.exp(-distance / 110))
            colour = mix(colour, (255, 255, 255), stars.get((x, y), 0) / 255)
            for left, right, roof, tint in houses:
                if left <= x < right and y > roof:
                    colour = mix((20, 20, 44), (40, 32, 66), tint)
                    column, floor = (x - left - 6) // 14, (y - roof - 10) // 22
                    inside = (x - left - 6) % 14 < 8 and (y - roof - 10) % 22 < 12
                    fits = left + 6 + column * 14 + 8 <= right - 4
                    if inside and fits and y > roof + 10 and (column * 7 + floor * 5 + int(tint * 97)) % 3:
                        colour = mix((255, 206, 120), (255, 170, 96), tint)
            row += bytes(int(c) for c in colour)
        rows.append(row)
    return rows


if len(sys.argv) != 2:
    sys.exit(__doc__)
os.makedirs(sys.argv[1], exist_ok=True)
write_png(f"{sys.argv[1]}/dawn.png", dawn())
write_png(f"{sys.argv[1]}/night.png", night())
