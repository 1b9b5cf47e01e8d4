"""Drops the graphs that libraries keep for good after an export, with all weights of the model.

They lie in places without a public name. What a version of a library does not have is passed over;
a test of every backend sees whether what models leave adds up. These places are of the whole
process, so what a user's own code has left there goes too; that costs no more than time.
"""

from __future__ import annotations

import sys
from typing import Any

COMPILED_CODE = "torch._inductor.runtime.compile_tasks."
"""How the names of the modules begin that Inductor writes; frozen weights are their globals."""
_REASONS = [
    f"executorch.backends.xnnpack.partition.config.{name}"
    for name in ("node_configs", "gemm_configs", "xnnpack_config", "generic_node_configs")
]
"""Where XNNPACK's partitioner has the last node that it left out."""


def of_inductor() -> None:
    """Drop the modules that Inductor wrote; compiled code that is in use keeps its own."""
    for name in list(sys.modules):  # a list: a thread may import meanwhile
        if name.startswith(COMPILED_CODE):
            sys.modules.pop(name, None)


def of_quantisation() -> None:
    """Drop what strict exports leave among the globals of a module, and graphs of known device."""
    kept = _globals("torch._dynamo.functional_export")
    for name in [name for name in kept if name.startswith("__compiled_fn_")]:
        del kept[name]
    _empty(_globals("torch.ao.quantization.fx.utils").get("assert_and_get_unique_device"))
    _empty(_globals("torchao.utils").get("_assert_and_get_unique_device"))


def of_executorch() -> None:
    """Drop compared nodes, those left out last, and known shapes of what lowered graphs return."""
    _empty(_globals("torch._subclasses.fake_tensor").get("FakeTensorMode"))
    _empty(_globals("executorch.exir.backend.utils").get("is_same_node"))
    for module in _REASONS:
        if (reason := _globals(module).get("why")) is not None:
            reason.node = None


def _globals(module: str) -> dict[str, Any]:
    """The globals of a module, none if it was not imported."""
    found = sys.modules.get(module)
    return vars(found) if found else {}


def _empty(cached: Any) -> None:
    """Empty the cache of a function or a class, if it has one."""
    clear = getattr(cached, "cache_clear", None)
    if clear is not None:
        clear()
