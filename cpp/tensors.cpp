#include "tensors.h"

#include <ATen/Functions.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>

#include "failure.h"

namespace runner {

namespace {

const std::map<std::string, at::ScalarType> kDtypes = {
    {"float32", at::kFloat}, {"float16", at::kHalf}, {"bfloat16", at::kBFloat16}};

}  // namespace

at::Tensor read_tensor(const std::string& path, const std::string& dtype,
                       const std::vector<int64_t>& shape) {
  const auto known = kDtypes.find(dtype);
  if (known == kDtypes.end()) throw Failure("unknown dtype '" + dtype + "'");
  at::Tensor tensor = at::empty(shape, known->second);
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) throw Failure(path + ": cannot be read");
  const auto size = std::streamoff(file.tellg());
  const auto expected = std::streamoff(tensor.nbytes());
  if (size != expected)
    throw Failure(path + ": holds " + std::to_string(size) + " bytes where " +
                  std::to_string(expected) + " were expected");
  file.seekg(0);
  if (!file.read(static_cast<char*>(tensor.data_ptr()), size))
    throw Failure(path + ": cannot be read to its end");
  return tensor;
}

void write_tensor(const std::string& path, const at::Tensor& tensor) {
  std::ofstream file(path, std::ios::binary);
  file.write(static_cast<const char*>(tensor.const_data_ptr()), std::streamsize(tensor.nbytes()));
  file.close();
  if (!file) throw Failure(path + ": cannot be written");
}

std::string dtype_name(const at::Tensor& tensor) {
  for (const auto& [name, type] : kDtypes)
    if (tensor.scalar_type() == type) return name;
  return c10::toString(tensor.scalar_type());
}

at::Tensor read_image(const std::string& path) {
  std::error_code unreadable;
  const auto bytes = std::filesystem::file_size(path, unreadable);
  if (unreadable)
    throw Failure(path + ": cannot be read; write it with tools/read_image.py");
  const auto size = int64_t(std::lround(std::sqrt(double(bytes) / (3 * sizeof(float)))));
  if (size == 0 || uint64_t(3 * size * size) * sizeof(float) != bytes)
    throw Failure(path + ": holds " + std::to_string(bytes) +
                  " bytes, which is no square image of 3 float32 channels; one of 3x224x224 has "
                  "602112; write it with tools/read_image.py");
  return read_tensor(path, "float32", {1, 3, size, size});
}

}  // namespace runner
