// The return value of a TorchScript program, as named tensors.
#pragma once

#include <ATen/core/ivalue.h>

#include "tensors.h"

namespace runner {

// The tensors of any nesting of tuples, lists and dictionaries, each named by its path: keys, fields
// and positions joined by dots, such as `0.boxes`. The name of a single tensor is empty. None, an
// absent optional output, is left out. Throws Failure for any other value, if no tensor is left, and
// for two tensors with the same name.
NamedTensors flatten(const c10::IValue& returned);

}  // namespace runner
