"""Which processor this is."""

from __future__ import annotations

import platform
import re
import subprocess
from collections.abc import Mapping

from .finding import Place
from .known import known

# What ARM's kernels tell of a processor, and lscpu makes its names from.
ARM = ("implementer", "part", "variant", "revision")
# The designers that ARM assigned these numbers to.
IMPLEMENTERS = {
    0x41: "ARM",
    0x42: "Broadcom",
    0x43: "Cavium",
    0x46: "Fujitsu",
    0x48: "HiSilicon",
    0x4E: "NVIDIA",
    0x50: "Ampere (APM)",
    0x51: "Qualcomm",
    0x53: "Samsung",
    0x56: "Marvell",
    0x61: "Apple",
    0x6D: "Microsoft",
    0x70: "Phytium",
    0xC0: "Ampere",
}
# By architecture: RISC-V, PowerPC, MIPS, s390x, SPARC.
OTHERS = (
    ("mvendorid", "marchid", "mimpid", "uarch"),
    ("uarch", "isa"),
    ("cpu", "revision"),
    ("cpu model", "system type"),
    ("vendor_id", "machine"),
    ("vendor_id", "cpu family", "model", "stepping"),
)
# No identities: every processor of the kind has this name.
ARCHITECTURES = (
    *(
        "",
        "unknown",
        "generic",
        "x86",
        "x86_64",
        "amd64",
        "i386",
        "i686",
        "arm",
        "arm64",
        "aarch64",
    ),
    *("armv7l", "armv8l", "ppc64", "ppc64le", "powerpc", "riscv", "riscv64", "s390x", "mips64"),
    *("loongarch64", "sparc64"),
)


def cpu_name(place: Place | None = None) -> str:
    """The processor's name, or the numbers that identify it.

    Where the system tells neither, the name of the host is part of it: two unknown processors
    must not seem to be the same.
    """
    place = place or Place()
    cores = known(lambda: _cores(place.read("proc/cpuinfo") or ""), [])
    names = dict.fromkeys(name for each in cores if (name := _name(each)))
    if names:
        return " + ".join(names)
    return known(_from_system, "") or f"unknown {platform.machine()} of host {platform.node()}"


def _cores(text: str) -> list[dict[str, str]]:
    """The fields of each core; those before the first belong to all."""
    cores = []
    for block in re.split(r"\n\s*\n", text.strip()):
        pairs = (line.partition(":") for line in block.splitlines())
        cores.append({name.strip().lower(): value.strip() for name, _, value in pairs})
    return cores


def _name(core: Mapping[str, str]) -> str:
    model = core.get("model name", "")
    arm = [core.get(f"cpu {field}", "") for field in ARM]
    # A hypervisor may hide the part, and tell the same of all processors of a maker.
    if arm[0] and known(lambda: int(arm[1], 0), 1) and arm[1]:
        return _arm_name(model, *arm)
    if model and model.lower() not in (*ARCHITECTURES, platform.machine().lower()):
        return f"{model} ({_generation(core)})" if _is_of_many(model) else model
    for fields in OTHERS:
        told = [core.get(field, "") for field in fields]
        # The maker alone identifies nothing.
        if told[0] and (fields[0] != "vendor_id" or any(told[1:])):
            return " ".join(
                f"{field} {value}" for field, value in zip(fields, told, strict=True) if value
            )
    return ""


def _is_of_many(model: str) -> bool:
    """Whether a hypervisor gives processors of several generations this name."""
    return not re.search(r"\d", model) or bool(re.search("qemu|kvm|virtual", model, re.I))


def _generation(core: Mapping[str, str]) -> str:
    numbers = [core.get(field, "?") for field in ("cpu family", "model", "stepping")]
    return "family {} model {} stepping {}".format(*numbers)


def _arm_name(model: str, implementer: str, part: str, variant: str, revision: str) -> str:
    """Old kernels add a model name that all processors of an architecture share."""
    known_name = known(lambda: IMPLEMENTERS.get(int(implementer, 0)), None)
    maker = known_name or f"implementer {implementer}"
    numbers = f"{maker} part {part} variant {variant or '?'} revision {revision or '?'}"
    return f"{model} ({numbers})" if model else numbers


def _from_system() -> str:
    """The name that macOS, or Windows, tells."""
    if platform.system() == "Darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        return ran.stdout.strip()
    named = platform.processor()
    return "" if named.lower() in (*ARCHITECTURES, platform.machine().lower()) else named
