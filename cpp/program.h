// A loaded model, whatever it was exported as.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <memory>
#include <string>

namespace runner {

class Program {
 public:
  virtual ~Program() = default;

  // Logits [batch, classes] of an input on the program's device, left there.
  virtual at::Tensor run(const at::Tensor& input) = 0;
};

// Loads a file onto the device: a package of AOTInductor (.pt2), an ONNX file (.onnx), or else a
// TorchScript file. Throws
// Failure for a file that is missing, cut short or neither. capturable: it is to be captured in a
// CUDA graph.
std::unique_ptr<Program> load_program(const std::string& path, c10::Device device,
                                      bool capturable = false);

}  // namespace runner
