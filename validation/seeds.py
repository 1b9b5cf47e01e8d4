"""The undamaged files that the fuzz of the readers begins with."""

from __future__ import annotations

import copy
import io
import json
from functools import cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

DATA = Path(__file__).parents[1] / "tests" / "unit" / "data"
BASELINE = DATA / "unfinished_run_0.2.0"
CLASSES = 6


@cache
def _run() -> dict[str, Any]:
    content = json.loads((DATA / "saved_run_0.2.0.json").read_text(encoding="utf-8"))
    ours = ("machine_info", "benchmarks", "deploybench")
    run = {key: content[key] for key in ours}
    run["machine_info"] = {"deploybench": content["machine_info"]["deploybench"]}
    # Undisturbed, so that speed-ups are not in doubt from the beginning, and another process.
    for number, benchmark in enumerate(run["benchmarks"]):
        info = benchmark["extra_info"]
        info["disturbed"] = [] if number else info["disturbed"]
        benchmark["stats"] = {"data": benchmark["stats"]["data"]}
    run["deploybench"]["run"] = "another"
    return run


def run() -> dict[str, Any]:
    """A saved run: what deploybench adds, and the samples."""
    return copy.deepcopy(_run())


@cache
def journal() -> dict[str, Any]:
    """The files of a journal, by name."""
    files = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in BASELINE.iterdir()}
    files["run.json"]["deploybench"]["run"] = "yet another"
    return files


def as_bytes(content: Any) -> bytes:
    """JSON as bytes."""
    return json.dumps(content).encode()


@cache
def tables() -> list[bytes]:
    """CSVs of merge_perf: of the article, and with speed-ups and costs."""
    return [
        (DATA / "article_perf.csv").read_bytes(),
        b"Model;TorchScript (Python)\nresnet18;1.05 [0.83, 1.34]* ~\ngeometric mean of 1;1.05\n",
        b"Model;Backend;Export (s);Break-even\nresnet18;PyTorch;-;-\nresnet18;C++;0.59;never\n",
    ]


@cache
def images() -> list[tuple[str, bytes]]:
    """Small images of several formats and modes: the suffix, and the file."""
    import numpy as np
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (18, 24, 4), dtype=np.uint8)
    colours = Image.fromarray(pixels[..., :3])
    grey = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    turned = Image.Exif()
    turned[0x0112] = 6
    frames = [colours.quantize(8), colours.rotate(180).quantize(8)]
    given: list[tuple[str, Image.Image, dict[str, Any]]] = [
        (".png", colours, {}),
        (".png", Image.fromarray(pixels), {}),
        (".png", grey, {}),
        (".png", colours.quantize(16), {"transparency": 3}),
        (".png", colours.convert("LA"), {}),
        (".jpg", colours, {"exif": turned}),
        (".jpg", colours.convert("CMYK"), {}),
        (".gif", frames[0], {"save_all": True, "append_images": frames[1:]}),
        (".webp", colours, {}),
        (".bmp", colours, {}),
        (".tif", colours, {}),
        (".tif", Image.fromarray(pixels[..., 0].astype(np.float32)), {}),
        (".ppm", colours, {}),
        (".tga", Image.fromarray(pixels), {}),
    ]
    found = []
    for suffix, image, options in given:
        file = io.BytesIO()
        kinds = {".jpg": "JPEG", ".tif": "TIFF"}
        image.save(file, kinds.get(suffix, suffix[1:].upper()), **options)
        found.append((suffix, file.getvalue()))
    return found


def labels() -> bytes:
    """A label for each class of `tiny`."""
    return "".join(f"label {number}\n" for number in range(CLASSES)).encode()


def tiny() -> nn.Module:
    """A small classifier, for labels and state dicts."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    return nn.Sequential(*layers, nn.Linear(4, CLASSES)).eval()


def infer() -> list[str]:
    """The command that classifies a photograph by `tiny`."""
    from deploybench.models.images import PHOTOGRAPH

    words = ["infer", f"{__file__}:tiny", str(PHOTOGRAPH), "--input=3x32x32", "--device=cpu"]
    return [*words, "--threads=1"]


def state(random: Random) -> tuple[str, bytes]:
    """A state dict of `tiny` as people save it, with an odd entry in half of the cases."""
    import torch
    from safetensors.torch import save

    entries: dict[Any, Any] = dict(tiny().state_dict())
    odd: list[Any] = [None, "text", 3, [], {}, torch.tensor([]), torch.tensor(1.0)]
    odd += [torch.full((4,), each) for each in (float("nan"), float("inf"), 1e38, -1.0)]
    odd += [torch.zeros(4, 3, 3, 3), torch.ones(4, dtype=torch.complex64), torch.ones(4).bool()]
    odd += [torch.ones(4).half(), torch.eye(4).to_sparse(), torch.ones(4, device="meta")]
    if random.random() < 0.5:
        name = random.choice(list(entries))
        kind = random.randrange(4)
        if kind == 0:
            del entries[name]
        elif kind == 1:
            entries[random.choice(["epoch", "a\nb", "\x1b[0m", 7, ("a", "b")])] = entries.pop(name)
        else:
            entries[name] = random.choice(odd)
    suffix = random.choice([".pth", ".pth", ".pt", ".safetensors"])
    if suffix == ".safetensors":
        kept = {
            str(name): each.contiguous()
            for name, each in entries.items()
            if isinstance(each, torch.Tensor) and each.layout is torch.strided and not each.is_meta
        }
        return suffix, save(kept)
    wrapped: list[Any] = [
        entries,
        {f"module.{name}": each for name, each in entries.items()},
        {"state_dict": entries, "epoch": 3},
        {"model": entries, "model_ema": entries},
        list(entries.items()),
    ]
    file = io.BytesIO()
    chosen = random.choice([entries, entries, *wrapped])
    torch.save(chosen, file, _use_new_zipfile_serialization=random.random() < 0.7)
    return suffix, file.getvalue()
