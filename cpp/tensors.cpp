#include "tensors.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>

#include "failure.h"
#include "text.h"

namespace runner {

namespace {

const std::map<std::string, at::ScalarType> kDtypes = {
    {"float64", at::kDouble}, {"float32", at::kFloat}, {"float16", at::kHalf},
    {"bfloat16", at::kBFloat16}, {"int64", at::kLong}, {"int32", at::kInt},
    {"int16", at::kShort}, {"int8", at::kChar}, {"uint8", at::kByte}, {"bool", at::kBool}};

constexpr size_t kMostDimensions = 64;  // the limit of torch's operators

std::string known_dtypes() {
  std::string names;
  for (const auto& [name, _] : kDtypes) names += (names.empty() ? "" : ", ") + name;
  return names;
}

std::string join(at::IntArrayRef shape) {
  std::string text;
  for (const int64_t side : shape) {
    if (!text.empty()) text += ',';
    text += std::to_string(side);
  }
  return text;
}

// Checked with sides of 0 counted as 1, because torch multiplies the other sides for the strides.
int64_t bytes_of(const Description& description) {
  int64_t bytes = int64_t(c10::elementSize(description.dtype));
  bool is_empty = false;
  for (const int64_t side : description.shape) {
    is_empty = is_empty || side == 0;
    if (__builtin_mul_overflow(bytes, std::max<int64_t>(side, 1), &bytes))
      throw Failure("a tensor of shape " + join(description.shape) + " is too large");
  }
  return is_empty ? 0 : bytes;
}

int64_t bytes_of_all(const std::vector<Description>& descriptions) {
  int64_t bytes = 0;
  for (const auto& description : descriptions)
    if (__builtin_add_overflow(bytes, bytes_of(description), &bytes))
      throw Failure("an input of " + std::to_string(descriptions.size()) +
                    " tensors is too large");
  return bytes;
}

// Reading any other byte as a bool is undefined behaviour.
void require_truth_values(const at::Tensor& tensor, const std::string& path) {
  const auto* bytes = static_cast<const uint8_t*>(tensor.const_data_ptr());
  if (std::any_of(bytes, bytes + tensor.nbytes(), [](uint8_t byte) { return byte > 1; }))
    throw Failure(path + ": contains a bool that is neither 0 nor 1");
}

}  // namespace

Description parse_description(const std::string& text) {
  const auto parts = split(text, ':', 3);
  if (parts.size() < 3) throw Failure("'" + text + "' is not DTYPE:SHAPE:NAME");
  const auto dtype = kDtypes.find(parts[0]);
  if (dtype == kDtypes.end())
    throw Failure("unknown dtype '" + parts[0] + "': allowed: " + known_dtypes());
  Description description{parts[2], dtype->second, {}};
  if (!parts[1].empty())
    for (const auto& side : split(parts[1], ',')) description.shape.push_back(whole_number(side));
  if (description.shape.size() > kMostDimensions)
    throw Failure("a tensor has more than " + std::to_string(kMostDimensions) + " dimensions");
  return description;
}

std::string describe(const NamedTensor& named) {
  const std::string dtype = dtype_name(named.tensor.scalar_type());
  if (!kDtypes.count(dtype))
    throw Failure((named.name.empty() ? "the output" : "output '" + named.name + "'") + " has dtype " +
                  dtype + ", which cannot be sent");
  if (named.name.find_first_of("\t\n") != std::string::npos)
    throw Failure("an output whose name contains a tab or a newline cannot be sent");
  return dtype + ":" + join(named.tensor.sizes()) + ":" + named.name;
}

NamedTensors read_tensors(const std::string& path, const std::vector<Description>& descriptions) {
  const int64_t expected = bytes_of_all(descriptions);
  std::error_code unreadable;
  const auto size = std::filesystem::file_size(path, unreadable);
  if (unreadable) throw Failure(path + ": cannot be read");
  if (size != uint64_t(expected))
    throw Failure(path + ": has " + std::to_string(size) + " bytes instead of " +
                  std::to_string(expected));
  std::ifstream file(path, std::ios::binary);
  NamedTensors tensors;
  for (const auto& [name, dtype, shape] : descriptions) {
    at::Tensor tensor = at::empty(shape, dtype);
    if (!file.read(static_cast<char*>(tensor.data_ptr()), std::streamsize(tensor.nbytes())))
      throw Failure(path + ": cannot be read to its end");
    if (dtype == at::kBool) require_truth_values(tensor, path);
    tensors.push_back({name, std::move(tensor)});
  }
  return tensors;
}

void write_tensors(const std::string& path, const NamedTensors& tensors) {
  std::ofstream file(path, std::ios::binary);
  for (const auto& [_, tensor] : tensors)
    file.write(static_cast<const char*>(tensor.const_data_ptr()), std::streamsize(tensor.nbytes()));
  file.close();
  if (!file) throw Failure(path + ": cannot be written");
}

std::string dtype_name(at::ScalarType dtype) {
  for (const auto& [name, type] : kDtypes)
    if (dtype == type) return name;
  return c10::toString(dtype);
}

std::string type_name(const at::Tensor& tensor) {
  return dtype_name(tensor.scalar_type()) + " [" + join(tensor.sizes()) + "]";
}

at::Tensor read_image(const std::string& path) {
  std::error_code unreadable;
  const auto bytes = std::filesystem::file_size(path, unreadable);
  if (unreadable)
    throw Failure(path + ": cannot be read; write it with tools/read_image.py");
  const auto size = int64_t(std::lround(std::sqrt(double(bytes) / (3 * sizeof(float)))));
  if (size == 0 || uint64_t(3 * size * size) * sizeof(float) != bytes)
    throw Failure(path + ": has " + std::to_string(bytes) +
                  " bytes, which is not a square image with 3 float32 channels (3x224x224 has "
                  "602112); write it with tools/read_image.py");
  return read_tensors(path, {{"image", at::kFloat, {1, 3, size, size}}})[0].tensor;
}

}  // namespace runner
