// Named tensors, and their files of raw little-endian values.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace runner {

struct NamedTensor {
  std::string name;
  at::Tensor tensor;
};
using NamedTensors = std::vector<NamedTensor>;

// The description of a tensor whose values are in a file.
struct Description {
  std::string name;
  at::ScalarType dtype;
  std::vector<int64_t> shape;
};

// Convert between a description and its text, DTYPE:SHAPE:NAME, where SHAPE is the sizes separated by
// commas, empty for a single value. Throw Failure for an invalid text, and for a tensor whose dtype or
// name cannot be sent.
Description parse_description(const std::string& text);
std::string describe(const NamedTensor& tensor);

// Read and write one file with the values of all tensors, one after the other. Throw Failure for a
// file whose size does not match the descriptions, or that cannot be read or written.
NamedTensors read_tensors(const std::string& path, const std::vector<Description>& descriptions);
void write_tensors(const std::string& path, const NamedTensors& tensors);

// The dtype's name as in Python, without "torch."; for a dtype that cannot be sent, the name in C++.
std::string dtype_name(at::ScalarType dtype);
// For example float32 [1,3,224,224].
std::string type_name(const at::Tensor& tensor);

// An image file as tools/read_image.py writes it: float32 [1, 3, size, size].
at::Tensor read_image(const std::string& path);

}  // namespace runner
