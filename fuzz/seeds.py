#!/usr/bin/env python3
"""Writes the seed corpora of the harnesses, fuzz/corpus/NAME/: fuzz/seeds.py.

Small inputs that reach far: one for each branch we know of. Images and videos are drawn by ffmpeg,
bit-exact, so that a second run of the same version writes the same bytes.
"""
import base64
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
ATTEMPT = "att_01k6x15wq5fe3t1k0n8x1z8h3m"
TASK = "task_01k6x15vhrff09dkkqjrzwhm60"
MEDIA = "media_01k6x15tnzezbst05sth2qgd8r"
GENERATION = "gen_01k6x1bffaf3dr786harh8maqt"


def write(harness, name, data):
    folder = os.path.join(HERE, "corpus", harness)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(data if isinstance(data, bytes) else data.encode())


# ---- images and videos ----

def chunk(kind, data):
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png(width, height, colour, depth=8, interlaced=0, extra=b""):
    """A picture of zeros, whatever the colour type."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    row = b"\0" + b"\x40" * ((width * channels * depth + 7) // 8)
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    palette = chunk(b"PLTE", b"\x10\x20\x30" * 128) if colour == 3 else b""
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + palette
            + chunk(b"IDAT", zlib.compress(row * height, 9)) + chunk(b"IEND", b""))


def exif(orientation):
    """An APP1 segment that says how the picture is turned."""
    tiff = struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    return b"\xff\xe1" + struct.pack(">H", 2 + 6 + len(tiff)) + b"Exif\0\0" + tiff


def ffmpeg(suffix, *options):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "out" + suffix)
        subprocess.run(["ffmpeg", "-v", "error", "-nostdin", *options, "-fflags", "+bitexact", "-flags:v", "+bitexact",
                        "-flags:a", "+bitexact", "-threads", "1", "-map_metadata", "-1", "-y", path], check=True)
        with open(path, "rb") as file:
            return file.read()


def still(suffix, *options, size="24x16", frames="1"):
    return ffmpeg(suffix, "-f", "lavfi", "-i", f"testsrc=size={size}:rate=5", "-frames:v", frames, *options)


def blank(suffix, *options):
    """More pixels than the harness takes, in few bytes."""
    return ffmpeg(suffix, "-f", "lavfi", "-i", "color=size=1100x960:rate=5", "-frames:v", "1", *options)


def pictures():
    jpeg = still(".jpg", "-pix_fmt", "yuvj420p", "-q:v", "20")
    frame = b"\xff\xc0\0\x0b\x08\0\x10\0\x10\x01\x01\x11\0"
    large = blank(".webp", "-c:v", "libwebp", "-lossless", "1")
    images = {
        "png-grey": png(9, 5, 0), "png-grey1": png(9, 5, 0, 1), "png-grey16": png(9, 5, 0, 16),
        "png-rgb": png(8, 6, 2), "png-rgb16": png(4, 6, 2, 16), "png-palette": png(8, 6, 3),
        "png-palette2": png(8, 6, 3, 2), "png-grey-alpha": png(8, 6, 4), "png-rgba": png(8, 6, 6),
        "png-rgba16": png(8, 6, 6, 16), "png-interlaced": png(13, 11, 2, 8, 1),
        "png-transparent": png(8, 6, 3, 8, 0, chunk(b"gAMA", b"\0\0\xb1\x8f")),
        "png-exif": png(8, 6, 2, 8, 0, chunk(b"eXIf", exif(6)[10:])),
        "png-huge": b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 40000, 40000, 8, 6, 0, 0, 0)),
        "png-cut": png(8, 6, 2)[:60], "png-bomb": png(1100, 960, 0, 1),
        "webp-bomb": blank(".webp", "-c:v", "libwebp", "-lossless", "1"), "gif-bomb": blank(".gif"),
        # A small frame announced before the true one, a small canvas around a large picture.
        "jpeg-two-frames": jpeg[:2] + frame + blank(".jpg", "-pix_fmt", "gray", "-q:v", "31")[2:],
        "webp-two-sizes": b"RIFF" + struct.pack("<I", len(large) + 10) + b"WEBPVP8X\x0a\0\0\0" + b"\0" * 10 + large[12:],
        "png-long": png(3, 700, 0),
        "jpeg-420": jpeg, "jpeg-cut": jpeg[:-60],
        "jpeg-444": still(".jpg", "-pix_fmt", "yuvj444p", "-q:v", "20"),
        "jpeg-422": still(".jpg", "-pix_fmt", "yuvj422p", "-q:v", "20"),
        "jpeg-grey": still(".jpg", "-pix_fmt", "gray", "-q:v", "20"),
        "jpeg-fill": jpeg[:2] + b"\xff\xff\xff" + jpeg[2:],
        "webp-lossy": still(".webp", "-c:v", "libwebp", "-q:v", "10"),
        "webp-lossless": still(".webp", "-c:v", "libwebp", "-lossless", "1"),
        "webp-alpha": still(".webp", "-pix_fmt", "yuva420p", "-c:v", "libwebp", "-q:v", "10"),
        "webp-moving": still(".webp", "-c:v", "libwebp_anim", "-q:v", "10", frames="3"),
        "gif-still": still(".gif"), "gif-moving": still(".gif", frames="4"),
        "gif-87a": still(".gif").replace(b"GIF89a", b"GIF87a", 1),
    }
    for orientation in range(1, 9):
        images[f"jpeg-turned-{orientation}"] = jpeg[:2] + exif(orientation) + jpeg[2:]
    for name, data in images.items():
        write("picture", name, data)
        write("image_sniff", name, data[:200])
    for kind in (b"VP8 ", b"VP8L", b"VP8X", b"ALPH"):
        body = kind + b"\x0a\0\0\0" + b"\x2f\x10\x01\x9d\x01\x2a\x10\0\x08\0"
        write("image_sniff", "webp-" + kind.decode().strip().lower(), b"RIFF\x1e\0\0\0WEBP" + body)
    for marker in (0xC0, 0xC2, 0xC4, 0xD8, 0xD9, 0xDA, 0x01):
        frame = b"\xff\xd8\xff" + bytes([marker]) + b"\0\x11\x08\0\x10\0\x20" + b"\0" * 12
        write("image_sniff", f"jpeg-marker-{marker:02x}", frame)


def videos():
    sources = ["-f", "lavfi", "-i", "testsrc=size=32x32:rate=8:duration=0.5"]
    sound = ["-f", "lavfi", "-i", "sine=frequency=440:duration=0.5:sample_rate=8000"]
    x264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-x264-params", "threads=1"]
    recipes = {
        "mp4-h264": (".mp4", sources + x264),
        "mp4-faststart": (".mp4", sources + x264 + ["-movflags", "+faststart"]),
        "mp4-fragments": (".mp4", sources + x264 + ["-movflags", "frag_keyframe+empty_moov"]),
        "mp4-sound": (".mp4", sources + sound + x264 + ["-c:a", "aac", "-b:a", "16k", "-shortest"]),
        "mp4-mpeg4": (".mp4", sources + ["-c:v", "mpeg4"]),
        "mov-mjpeg": (".mov", sources + ["-c:v", "mjpeg", "-pix_fmt", "yuvj420p"]),
        "mov-raw": (".mov", sources + ["-c:v", "rawvideo", "-pix_fmt", "rgb24", "-frames:v", "1"]),
        "mkv-ffv1": (".mkv", sources + ["-c:v", "ffv1", "-frames:v", "2"]),
        "mkv-sound": (".mkv", sources + sound + x264 + ["-c:a", "libopus", "-b:a", "8k", "-shortest"]),
        "webm-vp8": (".webm", sources + ["-c:v", "libvpx"]),
        "webm-vp9": (".webm", sources + ["-c:v", "libvpx-vp9"]),
        "mpegts": (".ts", sources + x264 + ["-frames:v", "2"]),
        "mpegts-mpeg2": (".ts", sources + ["-r", "25", "-c:v", "mpeg2video", "-frames:v", "2"]),
        "mpegps": (".mpg", sources + ["-r", "25", "-frames:v", "2"]),
        "avi": (".avi", sources + ["-c:v", "mpeg4", "-frames:v", "3"]),
        "flv": (".flv", sources + ["-c:v", "flv", "-frames:v", "3"]),
        "ogg": (".ogv", sources + ["-c:v", "libtheora", "-frames:v", "2"]),
        "gif": (".gif", sources),
        "mp3-alone": (".mp3", sound + ["-b:a", "8k"]),
        "png-alone": (".png", sources + ["-frames:v", "1"]),
    }
    for name, (suffix, options) in recipes.items():
        write("video", name, ffmpeg(suffix, *options))
    wide = ["-f", "lavfi", "-i", "color=size=4112x4096:rate=5", "-frames:v", "1"]
    write("video", "mp4-too-large", ffmpeg(".mp4", *wide, "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p",
                                           "-x264-params", "threads=1"))
    mp4 = ffmpeg(".mp4", *sources, *x264)
    write("video", "mp4-cut", mp4[:len(mp4) // 2])
    write("video", "playlist", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.ts\n")
    write("video", "concat", "ffconcat version 1.0\nfile other.mp4\n")


# ---- requests ----

def create():
    picture = base64.b64encode(png(2, 2, 2)).decode()
    url = "https://example.com/a.png"
    bodies = {
        "least": {"model": "sora-2", "prompt": "a"},
        "usual": {"model": "sora-2", "prompt": "make animate", "images": [url], "orientation": "portrait",
                  "size": "large", "duration": 15, "watermark": False, "private": True},
        "loose": {"model": "m", "prompt": "p", "duration": "10s", "seed": "42", "watermark": "TRUE", "private": 1,
                  "priority": 9.0, "storyboard": "0", "enhance_prompt": True},
        "synonyms": {"model": "m", "prompt": "p", "seconds": "4", "aspectRatio": "16:9", "resolution_name": "720P",
                     "metadata": {"seed": 1, "negative_prompt": "fog", "image_end": url, "deep": [1, None]}},
        "metadata-text": {"model": "m", "prompt": "p", "metadata": "{\"duration\":5,\"ratio\":\"1:1\"}"},
        "sizes": {"model": "m", "prompt": "p", "size": "1280×720", "aspect_ratio": "21:9"},
        "size-star": {"model": "m", "prompt": "p", "size": "704*1281"},
        "size-shape": {"model": "m", "prompt": "p", "size": "16x9", "orientation": "Square"},
        "video-config": {"model": "m", "prompt": "p", "video_config": {"aspect_ratio": "adaptive"}},
        "base64": {"model": "m", "prompt": "p", "image": picture, "first_frame_image": "data:image/png;base64," + picture},
        "objects": {"model": "m", "prompt": "p", "input_reference": {"image_url": {"url": url}},
                    "reference_images": [{"url": url}, {"image_url": url}], "last_frame": picture},
        "list-text": {"model": "m", "prompt": "p", "images": "[\"https://example.com/1\",\"\"]", "images[0]": url},
        "repeated": {"model": "m", "prompt": "p", "images": [url, url], "image_url": url, "image_urls": [url]},
        "tags": {"model": "m", "prompt": "p", "tags": ["one", "two"], "title": "T", "style": "anime"},
        "tag-text": {"model": "m", "prompt": "p", "tags": "one", "character_url": url, "character_timestamps": "1,3"},
        "remix": {"model": "m", "prompt": "p", "remix_config": {"source_task_id": TASK, "prompt": "q"},
                  "operation": "remix", "extend": True},
        "shots": {"model": "m", "prompt": "p", "storyboard": [{"prompt": "one", "duration": 2}]},
        "unknown": {"model": "m", "prompt": "p", "guidance": 0.1, "vendor": {"a": [1e300, -0.0, True]}, "": "x"},
        "unicode": {"model": "modèle", "prompt": "\u6a21\u578b \U0001f3ac \u200b", "title": "\u00e9"},
        "part": {"model": "m", "prompt": "p", "image": {"$part": 0}},
        "long-prompt": {"model": "m", "prompt": "p" * 101}, "full-prompt": {"model": "m", "prompt": "\u00e9" * 50},
        "no-model": {"prompt": "p"}, "no-prompt": {"model": "m", "prompt": " "},
        "blank-model": {"model": "a b", "prompt": "p"}, "model-number": {"model": 1, "prompt": "p"},
        "long-duration": {"model": "m", "prompt": "p", "duration": 61},
        "half-duration": {"model": "m", "prompt": "p", "duration": 1.5},
        "bad-size": {"model": "m", "prompt": "p", "size": "vast"},
        "bad-ratio": {"model": "m", "prompt": "p", "aspect_ratio": "9:0"},
        "bad-image": {"model": "m", "prompt": "p", "images": [5]},
        "file-image": {"model": "m", "prompt": "p", "image": "file:///etc/passwd"},
        "many-images": {"model": "m", "prompt": "p", "images": [f"{url}?{i}" for i in range(6)]},
        "deep-image": {"model": "m", "prompt": "p", "images": [[[[[[url]]]]]]},
    }
    for name, body in bodies.items():
        write("create_json", name, json.dumps(body, ensure_ascii=name != "unicode"))
    texts = {"empty": "", "scalar": "1", "array": "[1,2]", "cut": "{\"model\":\"m", "deep": "[" * 40 + "]" * 40,
             "twice": "{\"model\":\"m\",\"model\":\"n\",\"prompt\":\"p\"}", "nul": "{\"model\":\"a\\u0000\"}",
             "surrogate": "{\"prompt\":\"\\ud800\"}", "big": "[123456789012345678901234567890]", "real": "[1e400]",
             "blanks": " \t\r\n", "comment": "{}//"}
    for name, text in texts.items():
        write("create_json", "text-" + name, text)


def part(name, data, *headers, filename=None):
    disposition = f'form-data; name="{name}"' + (f'; filename="{filename}"' if filename else "")
    lines = [f"Content-Disposition: {disposition}", *headers, "", ""]
    return "\r\n".join(lines).encode() + data + b"\r\n"


def form(*parts, boundary="B", end=b"--", before=b""):
    mark = b"--" + boundary.encode()
    return before + b"".join(mark + b"\r\n" + item for item in parts) + mark + end + b"\r\n"


def forms():
    fields = [part("model", b"sora-2"), part("prompt", b"make animate")]
    picture = part("input_reference", png(2, 2, 2), "Content-Type: image/png", filename="a.png")
    usual = "multipart/form-data; boundary=B\n".encode()
    inputs = {
        "usual": usual + form(*fields, picture),
        "list": usual + form(*fields, part("images[]", b"https://example.com/a"), part("images[]", b"https://example.com/b")),
        "files": usual + form(*fields, part("image[]", b"1", filename="x"), part("image[]", b"2", filename="y")),
        "same-name": usual + form(*fields, part("prompt", b"again")),
        "no-file": usual + form(*fields, part("image", b"", filename="")),
        "preamble": usual + form(*fields, before=b"nothing\r\n"),
        "padded": usual + form(*fields).replace(b"--B\r\n", b"--B \t\r\n"),
        "metadata": usual + form(*fields, part("metadata", b'{"seed":"7"}'), part("seconds", b"4")),
        "quoted": b'multipart/form-data; charset=utf-8; boundary="B B"\n' + form(*fields, boundary="B B"),
        "escaped": usual + form(part('a\\"b%22', b"x"), part("\\\\", b"y")),
        "star": usual + form(b"Content-Disposition: form-data; name=a; filename*=UTF-8''x\r\n\r\nz\r\n"),
        "bare-name": usual + form(b"content-disposition: form-data; NAME=model\r\nX: y\r\n\r\nm\r\n"),
        "no-name": usual + form(b"Content-Disposition: form-data\r\n\r\nm\r\n"),
        "no-end": usual + form(*fields)[:-8], "cut-headers": usual + b"--B\r\nContent-Disposition: form-data",
        "no-boundary": b"multipart/form-data\n" + form(*fields), "other-boundary": b"multipart/form-data; boundary=C\n" + form(*fields),
        "not-utf8": usual + form(part("model", b"\xff\xfe")), "nul": usual + form(part("model", b"a\0b")),
        "many": usual + form(*[part("a", b"1")] * 130),
        "many-files": usual + form(*[part("image", b"1", filename="x")] * 130),
        "empty-list-name": usual + form(part("[]", b"1"), part("[]", b"2"), part("x[]", b"3"), part("x", b"4")),
        "url-usual": b"application/x-www-form-urlencoded\nmodel=sora-2&prompt=make+animate&seconds=4",
        "url-escapes": b"application/x-www-form-urlencoded\nmodel=m&prompt=%E6%A8%A1%2B&images[]=https%3A%2F%2Fexample.com%2Fa",
        "url-twice": b"application/x-www-form-urlencoded\na=1&a=2&a[]=3&b&=c&&d=",
        "url-broken": b"application/x-www-form-urlencoded\nmodel=%zz", "url-nul": b"application/x-www-form-urlencoded\na=\0",
        "url-empty": b"application/x-www-form-urlencoded\n", "url-many": b"application/x-www-form-urlencoded\n" + b"a=1&" * 130,
    }
    for name, data in inputs.items():
        write("multipart", name, data)


def ids():
    texts = [TASK, "sora-2:" + TASK, "a:b:" + TASK, ":" + TASK, "sora-2%3A" + TASK, "m%c3%a9:" + TASK, MEDIA, GENERATION,
             TASK.upper(), TASK[:-1], TASK + "0", "task_81k6x15vhrff09dkkqjrzwhm60", "task_7zzzzzzzzzzzzzzzzzzzzzzzzz",
             "01k6x15vhrff09dkkqjrzwhm60", "_01k6x15vhrff09dkkqjrzwhm60", "a_b_01k6x15vhrff09dkkqjrzwhm60", "x" * 128 + ":" + TASK,
             "x" * 129 + ":" + TASK, "y" * 63 + "_01k6x15vhrff09dkkqjrzwhm60", "%", "%4", "%00", "%25%32%35", "%ff%fe", "+ +", "",
             "task_01k6x15vhrfi09dkkqjrzwhm6o", "\u6a21\u578b:" + TASK, "\U0001f3ac\u202e\u0085", "\"\\\x1b[0m\x7f"]
    for i, text in enumerate(texts):
        write("query_id", f"id-{i:02}", text)
    for name, data in {"lone": b"\xc3", "long": b"\xe0\x80\x80", "surrogate": b"\xed\xa0\x80", "high": b"\xf4\x90\x80\x80",
                       "tail": b"a\x80\xbf\xf0\x9f\x8e"}.items():
        write("query_id", "utf8-" + name, data)


def arguments():
    moments = ["0", "1759763631", "1759763631.875", "1759763631875", "99999999999", "100000000000", "2025-10-06", "2025-10-06T15:10", "2025-10-06T15:10:26.875Z",
               "2025-10-06T17:10:26+02:00", "2025-10-06 17:10:26 02:00", "1970-01-01T00:00:00+2359", "9999-12-31T23:59:59.999999-2359", "2024-02-29",
               "2025-02-29", "2025-13-01", "2025-10-06T24:00", "1969-12-31", "-1", "1e9", ".5", "1759763631.", "2025-10-06T15:10:26.1234567Z", "9" * 30]
    states = ["pending", "completed,failed", "unfinished,ended", "queued,,", "", ",", "Completed", "cancelled,rendering,fetching,submitting,queued", "x" * 300]
    for i, text in enumerate(moments):
        write("arguments", f"moment-{i:02}", "m" + text)
    for i, text in enumerate(states):
        write("arguments", f"states-{i:02}", "s" + text)
    for i, (place, change) in enumerate([(0, 1), (1, 0), (2, 32), (40, 1), (90, 7), (91, 255)]):
        write("arguments", f"ticket-{i:02}", bytes([ord("t"), place, change]) + b"AZmXl9_-" * (12 * i))


def links():
    key = f"{TASK}/{GENERATION}/src.mp4"
    good = [key, "2025-10-06T14:10:26Z", "2025-10-13T15:10:26Z", "b", "r"]
    lines = {
        "plain": [*good, "", "A" * 43 + "="], "download": [*good, 'attachment; filename="a.mp4"', "A" * 43 + "=", "a.mp4"],
        "name": [*good, "x", "y", "f\u00e9 \u6a21\u578b.mp4"], "wild-name": [*good, "x", "y", "../a\"b;c%d\\e.mp4"],
        "long-name": [*good, "x", "y", "\u6a21" * 120], "broken-name": [*good, "x", "y", "a\udcff.mp4"],
        "empty-name": [*good, "x", "y", ""], "input": [f"{TASK}/{MEDIA}.png", *good[1:], "", "x", "n"],
        "bad-key": [f"{TASK}/../x.mp4", *good[1:], "", "x"], "meta-key": [f"{TASK}/a.meta", *good[1:], "", "x"],
        "bad-times": [key, "2025-02-29T00:00:00Z", "9999-12-31T23:59:59Z", "b", "r", "", "x"],
        "leap": [key, "2024-02-29T23:59:59Z", "2100-02-28T00:00:00Z", "b", "r", "", "x"],
        "year-out": [key, "1969-12-31T00:00:00Z", "2025-13-01T00:00:00Z", "b", "r", "", "x"],
        "control": [*good, "a\tb\x7f", "x"], "other-words": [key, *good[1:3], "c", "rw", "", "x"], "few": good[:3], "none": [],
    }
    for number, (name, item) in enumerate(lines.items()):
        tail = "\n".join(item + [""] if len(item) == 8 else item).encode(errors="surrogateescape")
        times = struct.pack(">QQ", number * 7919, 1759763426 + number * 100000) if len(item) == 8 else b""
        for field in range(7) if name in ("download", "plain") else (number % 7,):
            write("link", f"{name}-{field}", bytes([field, 10 * number % 200, 1 << number % 8]) + tail + times)


def configurations():
    texts = {
        "empty": "", "comment": "# nothing\n", "group-only": "channels:\nlog:\n", "braces": "{}", "document": "---\n...\n",
        "usual": "listen: '[::]:0'\npublic_url: https://video.example.com//\ncors: false\nlog: {level: debug, format: json}\n"
                 "limits:\n  images: 32\n  body: 1GiB\n  prompt_bytes: 100\ntasks:\n  deadline: 2d\n  backoff: 250ms\n"
                 "fetch.redirects: 0\nfetch:\n  allow:\n    - 10.0.0.0/8\n    - \"127.0.0.1:9000\"\ntrusted_proxies: []\n",
        "channels": "channels:\n  - name: one\n    adapter: animatic\n    models: [sora-2, 'sora-*']\n"
                    "  - {name: two, adapter: other, models: [x], priority: 7}\n",
        "same-channel": "channels: [{name: a, adapter: b, models: [c]}, {name: a, adapter: b, models: [c]}]\n",
        "no-models": "channels: [{name: a, adapter: b, models: []}]\n", "environment": "data: ${NAME}/a$${b}${NAME}\n",
        "environment-list": "trusted_proxies: ['${PORT}', '$x']\n", "environment-unset": "data: ${GONE}\n",
        "environment-open": "data: a${NAME\n", "unknown": "nothing: 1\n", "unknown-deep": "log: {nothing: 1}\n",
        "twice": "cors: true\ncors: false\n", "both-ways": "log.level: info\nlog: {level: debug}\n",
        "wrong-type": "listen: [a]\n", "not-a-flag": "cors: maybe\n", "not-a-span": "drain: 10 minutes\n",
        "out-of-bounds": "limits: {images: 33}\n", "overflow": "limits: {body: 99999999999GiB}\n",
        "alias": "listen: &a x\ndata: *a\n", "anchor-list": "a: &a [*a]\n", "merge": "<<: {cors: true}\n",
        "tag": "cors: !!bool true\n", "folded": "data: >\n  a\n  b\n", "literal": "data: |\n  a\n", "null": "data: ~\ndrain: null\n",
        "key-list": "? [a]\n: b\n", "deep": "{" + "a: {" * 60 + "}" * 61, "tab": "log:\n\tlevel: info\n",
        "two": "cors: true\n---\ncors: false\n", "quoted": "listen: \"127.0.0.1:1\\u0000\"\n", "cut": "log: {level: 'de",
        "directive": "%YAML 1.2\n---\ncors: true\n", "crlf": "cors: true\r\nlog:\r\n  level: warn\r\n", "bom": "\ufeffcors: true\n",
        "units": "limits: {body: 64KiB, image_bytes: 1MiB, body_memory: 2GiB}\nlinks: {valid_for: 72h}\nhttp: {idle: 90s, wait: 1m}\n",
        "span": "7d", "bytes": "64MiB",
        "channel-whole": "channels:\n- name: kling-main\n  adapter: kling\n  base_url: http://127.0.0.1:1/v1/\n  key: ${NAME}\n  secret: 's t'\n"
                         "  models:\n  - sora-2\n  - {name: 'p*', upstream: kling-v2}\n  weight: 2\n  concurrency: 9\n  on_unknown: resubmit\n"
                         "  fit: strict\n  drain: true\n  headers: {X-Team: video}\n  proxy: http://a:b@[::1]:3128\n  ca: ca.pem\n"
                         "  options:\n    text: |\n      a\n      b\n    list: [1, -2.5e3, true, ~, yes, '1', {deep: [[]]}]\n",
        "channel-credentials": "channels: [{name: a, adapter: b, models: [c], credentials: [{name: x, key: '${NAME}'}, {name: y, key: k, secret: s}]}]\n",
        "channel-both": "channels: [{name: a, adapter: b, models: [c], key: k, credentials: [{name: x, key: y}]}]\n",
        "channel-secret-alone": "channels: [{name: a, adapter: b, models: [c], secret: s}]\n",
        "channel-bad-key": "channels: [{name: a, adapter: b, models: [c], key: ' k'}]\n",
        "channel-bad-url": "channels: [{name: a, adapter: b, models: [c], base_url: 'https://u:p@[::1'}]\n",
        "channel-bad-proxy": "channels: [{name: a, adapter: b, models: [c], proxy: 'http://u:p@'}]\n",
        "channel-bad-header": "channels: [{name: a, adapter: b, models: [c], headers: {Host: x}}]\n",
        "channel-same-model": "channels: [{name: a, adapter: b, models: [c, {name: c}]}]\n",
        "channel-same-credential": "channels: [{name: a, adapter: b, models: [c], credentials: [{name: x, key: y}, {name: x, key: y}]}]\n",
        "channel-options-alias": "channels: [{name: a, adapter: b, models: [c], options: {a: &a [1], b: *a}}]\n",
        "channel-options-deep": "channels: [{name: a, adapter: b, models: [c], options: " + "{a: " * 34 + "1" + "}" * 36 + "]\n",
        "channel-options-wrong": "channels: [{name: a, adapter: b, models: [c], options: [1]}]\n",
        "channel-misspelt": "channels: [{name: a, adapter: b, models: [c], credentials: [{name: x, kye: y}]}]\n",
        "upstream": "adapters: /etc/x\nupstream: {connect: 5s, exchange: 30s, answer: 1MiB, result: 1GiB, download: 5m}\n",
    }
    for name, text in texts.items():
        write("settings", name, text)
    write("settings", "utf16", "cors: true\n".encode("utf-16"))
    write("settings", "not-utf8", b"data: \xff\xfe\n")


def records():
    request = {"v": 1, "id": TASK, "tenant": "tenant-1", "model": "sora-2", "prompt": "make animate", "orientation": "portrait",
               "size": "small", "operation": "simple_compose", "duration_s": 15, "width": 352, "height": 640, "n_frames": 450,
               "priority": 2, "n_variants": 1, "created_micros": 1759763426875729, "extra": {}, "images": []}
    full = dict(request, request_id="req-1", aspect_ratio="9:16", title="T", style="anime", negative_prompt="fog", seed=7,
                has_seed=True, has_watermark_wish=True, watermark=True, private_result=True, storyboard=True, enhance_prompt=True,
                character_url="https://example.com/c.mp4", character_timestamps="1,3", tags=["a"], extra={"guidance": 0.1},
                remix_config={"source_task_id": "task_x", "prompt": "p"},
                images=[{"role": "input", "media_id": MEDIA, "url": "https://example.com/a.png"},
                        {"role": "last", "media_id": MEDIA, "key": f"{TASK}/{MEDIA}.png", "sha256": "e3" * 32}])
    created = 1759763426875
    queued = {"v": 1, "state": "queued", "revision": 1, "status_update_ms": created, "deadline_ms": created + 600000, "started_ms": 0,
              "not_before_ms": 0, "ended_ms": 0, "expired_ms": 0, "progress": 0.0, "attempts": 0, "channel": "", "is_builtin": False}
    working = dict(queued, revision=7, status_update_ms=created + 5000, started_ms=created + 2000, progress=0.1 + 0.2, attempts=1,
                   channel="local", is_builtin=True)
    result = {"generation_id": GENERATION, "width": 352, "height": 640, "n_frames": 450, "duration_ms": 15000,
              "stored_micros": 1759763631222531, "has_watermark": True}
    ended = dict(working, ended_ms=created + 5000)
    statuses = {
        "queued": queued, "waiting": dict(queued, not_before_ms=created + 9000, attempts=1, channel="local"),
        "submitting": dict(working, state="submitting"), "rendering": dict(working, state="rendering"),
        "fetching": dict(working, state="fetching"), "completed": dict(ended, state="completed", progress=1.0, result=result),
        "expired": dict(ended, state="completed", progress=1.0, result=result, expired_ms=created + 9000),
        "failed": dict(ended, state="failed", failure="render_failed", failure_note="image 2: no"),
        "deadline": dict(ended, state="failed", failure="deadline_exceeded"),
        "cancelled": dict(ended, state="cancelled", failure="cancelled"), "unsound": dict(queued, ended_ms=5),
        "progress": dict(working, state="rendering", progress=2), "version": dict(queued, v=2), "word": dict(queued, state="lost"),
    }
    attempt = {"id": ATTEMPT, "state": "accepted", "number": 2, "channel": "main", "credential": "default",
               "begun_ms": created + 1000, "accepted_ms": created + 2000, "closed_ms": 0,
               "job": {"id": "job-1", "keep": "{\"step\":1}", "outputs": "[{\"url\":\"https://up.example/v.mp4\"}]",
                       "enhanced_prompt": "make it animate", "usage": "{\"credits\":3}"}}
    foreign = dict(working, state="rendering", channel="main", is_builtin=False, attempt=attempt, n_deferred=1, refused_by=[0, 4294967295],
                   may_have_cost=True)
    ahead = dict(attempt, state="submitting", accepted_ms=0)
    del ahead["job"]
    over = dict(attempt, state="finished", closed_ms=created + 4000)
    statuses.update({
        "upstream": foreign, "upstream-fetching": dict(foreign, state="fetching"),
        "upstream-submitting": dict(foreign, state="submitting", attempt=ahead),
        "upstream-confirming": dict(foreign, attempt=dict(attempt, state="confirming", accepted_ms=0)),
        "upstream-queued": dict(queued, channel="main", attempts=1, n_deferred=3,
                                attempt=dict(ahead, state="refused", closed_ms=created + 3000)),
        "upstream-completed": dict(foreign, state="completed", progress=1.0, ended_ms=created + 5000, result=result, attempt=over),
        "upstream-cancelling": dict(foreign, state="cancelled", failure="cancelled", ended_ms=created + 5000,
                                    attempt=dict(attempt, state="cancelling")),
        "upstream-number": dict(working, state="rendering", attempt={"number": 2}),
        "upstream-unfit": dict(foreign, attempt=over), "upstream-jobless": dict(foreign, attempt=dict(attempt, job={})),
    })
    for name, status in statuses.items():
        for kind, document in (("least", request), ("full", full)):
            write("record", f"{name}-{kind}", json.dumps(document) + "\n" + json.dumps(status) + "\n")
    many = [{"role": "input", "media_id": MEDIA, "url": "a"}] * 33
    for count in (32, 33):
        write("record", f"images-{count}", json.dumps(dict(request, images=many[:count])) + "\n" + json.dumps(queued))
    write("record", "not-json", "{\n}")
    write("record", "empty", "{}\n{}")
    write("record", "both-images", json.dumps(dict(full, images=[dict(full["images"][0], key="k")])) + "\n" + json.dumps(queued))


def urls():
    texts = ["https://example.com/a.png", "http://example.com:8080/?a=b#c", "HTTP://EXAMPLE.COM", "https://[2001:db8::1]:443/x",
             "http://user:word@example.com/", "http://example.com\\@127.0.0.1/", "http://127.0.0.1", "http://0x7f.1/", "http://[::1",
             "http://[]/", "http:///x", "http://:80/", "http://a:0/", "http://a:65536/", "http://a:/", "ftp://example.com/", "//example.com",
             "https://example.com/ a", "http://a#@b/", "http://a?@b/", "http://a/@b", "http://%61@b/", "http://a%00b/", "http://a;b/",
             "http://[::1%25lo]/", "http://\u3002\uff0e/", "https:/example.com", "javascript:1", ""]
    entries = ["10.1.2.3", "10.0.0.0/8", "fd00::/8", "127.0.0.1:9000", "[::1]:9000", "10.0.0.0/8:9000", "::/0", "0.0.0.0/0",
               "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "10.0.0.1/33", "10.0.0.0/", "[::1", "example.com", "1.2.3.4:0",
               "010.0.0.1", "fe80::1%lo", "::1/128", "[fd00::]/8:443", "2001:db8::/32", "10.1.2.3/8", "", " 10.0.0.1"]
    for i, text in enumerate(texts):
        write("url_guard", f"url-{i:02}", text)
    for i, entry in enumerate(entries):
        write("url_guard", f"entry-{i:02}", f"http://a/\n{entry}\n")
    for name, address in {"private": "0a000001" + "00" * 12, "global": "26064700" + "00" * 11 + "01", "mapped": "00" * 10 + "ffff08080808",
                          "nat64": "0064ff9b" + "00" * 8 + "7f000001", "sixtofour": "20020a000001" + "00" * 10,
                          "isatap": "2606470000000000" + "00005efe0a000001", "local": "fe80" + "00" * 13 + "01"}.items():
        write("url_guard", f"address-{name}", b"http://a/\n10.0.0.0/8\nfe80::/10\n" + bytes.fromhex(address))


def heads():
    lines = {
        "get": ["GET /v1/video/query HTTP/1.1", "Host: example.com"],
        "post": ["POST /v1/video/create HTTP/1.1", "Host: example.com:8080", "Content-Length: 12", "Expect: 100-continue"],
        "chunked": ["POST /v1/video/create HTTP/1.1", "Host: a", "Transfer-Encoding: Chunked"],
        "both": ["POST / HTTP/1.1", "Host: a", "Content-Length: 1", "Transfer-Encoding: chunked"],
        "two-lengths": ["POST / HTTP/1.1", "Host: a", "Content-Length: 1", "Content-Length: 1"],
        "two-hosts": ["GET / HTTP/1.1", "Host: a", "Host: b"], "no-host": ["GET / HTTP/1.1"], "old": ["GET / HTTP/1.0"],
        "old-chunked": ["GET / HTTP/1.0", "Transfer-Encoding: chunked"], "gzip": ["GET / HTTP/1.1", "Transfer-Encoding: gzip, chunked"],
        "length-sign": ["GET / HTTP/1.1", "Content-Length: +1"], "length-huge": ["GET / HTTP/1.1", "Content-Length: 99999999999999999999"],
        "length-list": ["GET / HTTP/1.1", "Content-Length: 1, 1"], "bad-name": ["GET / HTTP/1.1", "Ho st: a", "Content-Length : 4"],
        "bad-value": ["GET / HTTP/1.1", "X: a\x01b"], "asset": [f"GET /assets/{TASK}/a.mp4 HTTP/1.1", "Host: [::1]:80"],
        "videos": ["DELETE /v1/videos/x HTTP/1.1", "Host: a"], "head": ["HEAD /healthz HTTP/1.1", "Host: a"],
        "options": ["OPTIONS /v1/models HTTP/1.1", "Host: a"], "put": ["PUT /v1/video/create HTTP/1.1", "Host: a"],
        "forwarded": ["GET / HTTP/1.1", "Host: a", "X-Forwarded-Host: b.example", "X-Forwarded-Proto: https"],
        "forwarded-list": ["GET / HTTP/1.1", "Host: a", "X-Forwarded-Host: b, c", "X-Forwarded-Proto: https, http"],
        "forwarded-bad": ["GET / HTTP/1.1", "Host: a", "X-Forwarded-Host: b/c@d", "X-Forwarded-Proto: javascript"],
        "host-path": ["GET / HTTP/1.1", "Host: a/b"], "host-user": ["GET / HTTP/1.1", "Host: a@b"],
        "host-long": ["GET / HTTP/1.1", "Host: " + "a" * 256], "unknown": ["GET /v1/nothing HTTP/1.1", "Host: a"],
        "slash": ["GET /v1/video/query/ HTTP/1.1", "Host: a"], "empty": [""],
    }
    for name, item in lines.items():
        write("head", name, "\n".join(item))
        write("head", name + "-odd", "\n".join(item) + "\n")


def answers():
    """The first byte: is base64 cut out? 1 and 2 stand for much base64 and many brackets."""
    texts = {"job": '{"id": "a", "status": "queued", "progress": 0.25, "video": null, "ok": true, "no": false}', "list": "[1, [], {}, [ 2 ]]",
             "numbers": "[0, -0, 1.5, -2e3, 1E+9, 1e-999, 1e999, 9007199254740992, 9007199254740993, -18446744073709551616]",
             "long-number": "[" + "1" * 80 + ", 0." + "3" * 80 + "]",
             "escapes": r'["\"\\\/\b\f\n\r\t", "\u00e9\ud83c\udfac", "\u0000", "\ud83c", "\udfac\ud83c", "\ud83c\u0041"]'.replace("\\\\", "\\"),
             "unicode": '["h\u00e9llo \u6620\u753b \U0001f3ac"]', "twice": '{"a": 1, "a": 2}', "scalar": " 7 ", "text": '"x"', "html": "<html>",
             "empty": "", "cut-string": '{"a": "b', "cut-escape": '"\\u12', "comma": "[1,]", "colon": '{"a" 1}', "zero": "01", "word": "[tru]",
             "control": '"a\tb"', "deep": "\2", "deeper": "\2\2", "nested": "[" * 64 + "]" * 64}
    blobs = {"blob": '"\1"', "two": '{"a":"\1AA==","b":["\1BBB"]}', "data": '{"v":"data:video/mp4;base64,\1","w":"data:;base64,\1"}',
             "parameter": '"data:video/mp4;codecs=a;base64,\1"', "five": '["\1","\1","\1","\1","\1","\1"]', "escaped": '"\1\\/\\u002b-_=="',
             "wrapped": '"\1\\r\\n\1"', "odd": '"\1A"', "padded": '"\1="', "foreign": '"\1."', "no-type": '"data:;\1"', "key": '{"\1":1}'}
    for name, text in texts.items():
        write("condense", name, b"\0" + text.encode())
    for name, text in blobs.items():
        write("condense", "blob-" + name, b"\1" + text.encode())
    write("condense", "blob-left", b"\0" + blobs["two"].encode())
    for name, data in {"latin": b'"\xe9"', "surrogate": b'"\xed\xa0\x80"', "overlong": b'"\xc0\xaf"', "nul": b'"a\0b"', "mark": b"\xef\xbb\xbf{}"}.items():
        write("condense", "bytes-" + name, b"\1" + data)


def programs():
    """The first byte and one: in how large pieces the rest comes."""
    lines = {"progress": '{"progress": 0.5}\n{"progress":1}\n', "output": '{"progress": 0}\r\n\n{"output": "out/a.mp4"}', "bad-progress": '{"progress": 1.5}\n{"progress": "a"}\n',
             "bad-output": '{"output": 1}\n{"output": ""}\n{"output": "' + "a" * 512 + '"}', "noise": "Loading 100%\nx{\n[]\n5\n", "blank": "\n \t\n",
             "refused": '{"error": {"kind": "refused", "code": "size", "message": "only squares"}}\n{"error": {"kind": "moderated"}}',
             "moderated": '{"error": {"kind": "moderated", "message": "a\\nb\\u001bc\\u00e9 ' + "\u6620" * 120 + '"}}', "failed": '{"error": {"kind": "failed"}}',
             "bad-error": '{"error": "x"}\n{"error": {"kind": 5}}', "long": "x" * 17000 + '\n{"progress": 0.5}', "long-words": '{"progress": 0.5, "x": "' + "x" * 17000 + '"}', "empty": ""}
    for n, (name, text) in enumerate(lines.items()):
        write("command", name, bytes([17 * n % 256]) + text.encode())
    write("command", "bytes", b"\0\xff\xfe{\x00\n\x1b\x7f\xc2\x80\xe6\x98")


def requests():
    image = {"$image": 0, "as": ["url", "data_uri", "base64"]}
    specs = {
        "get": {"method": "GET", "path": "/v1/x", "query": {"a": "b c", "n": 5, "f": 1.5, "t": True, "z": None}},
        "key-in-query": {"method": "GET", "path": "/v1/x?y=1", "query": {"key": "a"}},
        "json": {"method": "POST", "path": "/v1/x", "json": {"prompt": "a\u00e9\u0001", "list": [1, -2.5, None, {"i": image}]}, "buys": False,
                 "redirects": 3, "heed": ["404", "4xx", "5xx", "200"], "headers": {"X-A": "b", "Content-Type": "application/x+json"}},
        "images": {"method": "POST", "path": "/", "json": [{"$image": 1, "as": ["base64"]}, {"$image": 1, "as": ["data_uri"]},
                                                           {"$image": 2, "as": ["file", "url"]}]},
        "form": {"method": "PUT", "path": "/", "form": [
            {"name": "a\"b", "value": "c\r\n"}, {"name": "n", "value": 5}, {"name": "f", "value": {"$image": 1, "as": ["file"]}},
            {"name": "g", "value": {"$image": 0, "as": ["file"]}, "filename": "x.png"}, {"name": "u", "value": image},
            {"name": "d", "value": {"$image": 1, "as": ["data_uri"]}}, {"name": "gone", "value": None}]},
        "home": {"method": "DELETE", "url": "https://API.example.com:443/x y#z"}, "further": {"method": "GET", "url": "https://rest.example.com?x"},
        "port": {"method": "GET", "url": "https://files.example.com:8443/"}, "abroad": {"method": "GET", "url": "http://[2001:db8::1]:80/x"},
        "user": {"method": "GET", "url": "https://api.example.com@evil.example/"}, "climbs": {"method": "GET", "path": "/a/%2e%2E;x/b"},
        "backslash": {"method": "GET", "path": "/a\\b"}, "no-slash": {"method": "GET", "path": "@evil.example"},
        "hash": {"method": "GET", "path": "/a#b"}, "controls": {"method": "GET", "path": "/a\r\nX: y"}, "long": {"method": "GET", "path": "/" + "a" * 17000},
        "host": {"method": "POST", "path": "/", "headers": {"Host": "a"}}, "auth": {"method": "POST", "path": "/", "headers": {"authorization": "a", "X-Key": "b"}},
        "split": {"method": "POST", "path": "/", "headers": {"X-A": "b\r\nX-B: c"}}, "team": {"method": "POST", "path": "/", "headers": {"x-team": "a"}},
        "form-type": {"method": "POST", "path": "/", "form": [], "headers": {"Content-Type": "a"}}, "both": {"method": "POST", "path": "/", "form": [], "json": 1},
        "get-body": {"method": "GET", "path": "/", "json": 1}, "bad-method": {"method": "TRACE", "path": "/"}, "no-place": {"method": "GET"},
        "bad-image": {"method": "POST", "path": "/", "json": {"$image": 3, "as": ["url"]}}, "bad-form": {"method": "POST", "path": "/", "json": {"$image": 0, "as": ["png"]}},
        "no-form": {"method": "POST", "path": "/", "json": {"$image": 1, "as": ["url"]}}, "odd-image": {"method": "POST", "path": "/", "json": {"$image": -1, "as": 1, "x": 2}},
        "bad-part": {"method": "POST", "path": "/", "form": [{"name": "", "value": []}]}, "part-list": {"method": "POST", "path": "/", "form": [[]]},
        "unknown": {"method": "GET", "path": "/", "\u001b[2J\u0085": 1}, "bad-flags": {"method": "GET", "path": "/", "buys": 1, "redirects": 9, "heed": 4},
        "bad-heed": {"method": "GET", "path": "/", "heed": ["3xx"]}, "many": {"method": "GET", "path": "/", "headers": {f"X-{i}": "a" for i in range(66)}},
        "list": [], "deep": {"method": "POST", "path": "/", "json": json.loads("[" * 29 + "]" * 29)},
    }
    for number, (name, spec) in enumerate(specs.items()):
        for choice in range(5) if name in ("get", "auth", "host", "json") else (number % 5,):
            write("request", f"{name}-{choice}", bytes([choice]) + json.dumps(spec).encode())
    for name in ("home", "abroad", "get", "key-in-query", "form"):
        write("request", f"{name}-bare", bytes([0x80 + 3 * (name != "get")]) + json.dumps(specs[name]).encode())
    write("request", "not-json", b"\1{")


def main():
    shutil.rmtree(os.path.join(HERE, "corpus"), ignore_errors=True)
    for maker in (pictures, videos, create, forms, ids, arguments, links, configurations, records, urls, heads, answers, programs, requests):
        maker()
    sys.stdout.write("".join(f"{name}: {len(os.listdir(os.path.join(HERE, 'corpus', name)))} files\n"
                             for name in sorted(os.listdir(os.path.join(HERE, "corpus")))))


main()
