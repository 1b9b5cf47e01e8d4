// Tensors as files of raw little-endian values.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace runner {

// dtype: float32, float16, bfloat16. Throw Failure for a file of another size, or none.
at::Tensor read_tensor(const std::string& path, const std::string& dtype,
                       const std::vector<int64_t>& shape);
void write_tensor(const std::string& path, const at::Tensor& tensor);
std::string dtype_name(const at::Tensor& tensor);

// An image file as tools/read_image.py writes it: float32 [1, 3, size, size].
at::Tensor read_image(const std::string& path);

}  // namespace runner
