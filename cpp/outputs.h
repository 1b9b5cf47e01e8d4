// What a TorchScript program returned, as named tensors.
#pragma once

#include <ATen/core/ivalue.h>

#include "tensors.h"

namespace runner {

// The tensors of any nesting of tuples, lists and dictionaries, each named by its path: keys, fields
// and positions joined by dots, as `0.boxes`. A lone tensor is `output`. None is left out, as an
// optional output that is not there. Throws Failure for any other value, where nothing is left, and
// for two tensors of one name.
NamedTensors flatten(const c10::IValue& returned);

}  // namespace runner
