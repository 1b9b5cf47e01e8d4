"""Two processors have the same name only if they are the same."""

from __future__ import annotations

import platform

import pytest

from deploybench.machine import identity
from tests.unit.machine.test_doctor import place

N1 = "CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x3\nCPU part\t: 0xd0c\n"
N1 += "CPU revision\t: 1"
A72 = N1.replace("0xd0c", "0xd08").replace("0x3", "0x0")


def arm(*cores: str) -> str:
    return "\n\n".join(f"processor\t: {index}\n{core}" for index, core in enumerate(cores))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (
            "processor : 0\nmodel name\t: A 1\n\nprocessor : 1\nmodel name\t: A 1",
            "A 1",
        ),
        (arm(N1, N1), "ARM part 0xd0c variant 0x3 revision 1"),
        (
            arm(A72, A72, N1),
            "ARM part 0xd08 variant 0x0 revision 1 + ARM part 0xd0c variant 0x3 revision 1",
        ),
        (arm(N1.replace("0x41", "0x99")), "implementer 0x99 part 0xd0c variant 0x3 revision 1"),
        # Old kernels have a name that all ARM processors share, and the numbers in a last block.
        (
            f"model name : ARMv8 Processor rev 1 (v8l)\n{N1}",
            "ARMv8 Processor rev 1 (v8l) (ARM part 0xd0c variant 0x3 revision 1)",
        ),
        (f"processor : 0\n\nprocessor : 1\n\n{N1}", "ARM part 0xd0c variant 0x3 revision 1"),
        (
            "vendor_id: GenuineIntel\ncpu family: 6\nmodel: 85\nmodel name: unknown\nstepping: 7",
            "vendor_id GenuineIntel cpu family 6 model 85 stepping 7",
        ),
        # Hypervisors give processors of several generations one name, or hide the part of an ARM.
        (
            "model name: AMD EPYC\ncpu family: 25\nmodel: 17\nstepping: 1",
            "AMD EPYC (family 25 model 17 stepping 1)",
        ),
        (
            "model name: QEMU Virtual CPU version 2.5+\ncpu family: 15\nmodel: 107",
            "QEMU Virtual CPU version 2.5+ (family 15 model 107 stepping ?)",
        ),
        ("model name: Intel(R) Xeon(R) CPU E5-2680\nmodel: 1", "Intel(R) Xeon(R) CPU E5-2680"),
        ("cpu : POWER9, altivec\nrevision : 2.2", "cpu POWER9, altivec revision 2.2"),
        ("processor: 0\nisa: rv64imafdc\nuarch: sifive,u74", "uarch sifive,u74 isa rv64imafdc"),
    ],
)
def test_a_processor_is_named_by_what_tells_it_from_others(tmp_path, text, name):
    assert identity.cpu_name(place(tmp_path, {"proc/cpuinfo": text})) == name


@pytest.mark.parametrize("text", ["", "garbage", "vendor_id : X", "model name : aarch64"])
@pytest.mark.parametrize("processor", ["x86_64", "aarch64", "arm", "unknown", ""])
def test_an_architecture_is_no_identity(monkeypatch, tmp_path, text, processor):
    monkeypatch.setattr(platform, "processor", lambda: processor)
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    names = []
    for host in ("one", "other"):
        monkeypatch.setattr(platform, "node", lambda host=host: host)
        names.append(identity.cpu_name(place(tmp_path, {"proc/cpuinfo": text})))
    assert len(set(names)) == 2
    assert names[0] == "unknown aarch64 of host one"


def test_a_part_that_a_hypervisor_hides_is_no_identity(monkeypatch, tmp_path):
    monkeypatch.setattr(identity, "_from_system", lambda: "")
    monkeypatch.setattr(platform, "node", lambda: "mac")
    hidden = arm(N1.replace("0x41", "0x61").replace("0xd0c", "0x000"))
    assert identity.cpu_name(place(tmp_path, {"proc/cpuinfo": hidden})).endswith("of host mac")
