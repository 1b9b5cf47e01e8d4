// Named tensors, and how they cross as files of raw little-endian values.
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

// What is said of a tensor whose values lie in a file.
struct Description {
  std::string name;
  at::ScalarType dtype;
  std::vector<int64_t> shape;
};

// Between a description and its text, DTYPE:SHAPE:NAME, where SHAPE is sides separated by commas and
// is empty for a single value. Throw Failure for a text that is none, and for a tensor of a dtype or
// a name that cannot be sent.
Description parse_description(const std::string& text);
std::string describe(const NamedTensor& tensor);

// One file with the values of all tensors, one after the other. Throw Failure for a file of another
// size than the descriptions add up to, or one that cannot be read or written.
NamedTensors read_tensors(const std::string& path, const std::vector<Description>& descriptions);
void write_tensors(const std::string& path, const NamedTensors& tensors);

// As Python names it, without its "torch."; as torch does where it cannot be sent.
std::string dtype_name(at::ScalarType dtype);
// As float32 [1,3,224,224].
std::string type_name(const at::Tensor& tensor);

// An image file as tools/read_image.py writes it: float32 [1, 3, size, size].
at::Tensor read_image(const std::string& path);

}  // namespace runner
