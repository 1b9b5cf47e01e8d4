// A loaded model, in any exported format.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <memory>
#include <string>
#include <vector>

#include "tensors.h"

namespace runner {

constexpr const char* kDefaultRuntime = "openvino";

// Inputs and outputs have names. Those of inputs are parameter names, or positions from 0; those of
// outputs are paths into the return value, see outputs.h.
class Program {
 public:
  virtual ~Program() = default;

  // The runtime of the model, as in the table's columns.
  virtual const char* title() const = 0;

  // Takes the names of the inputs that `set` will get. Throws Failure as `find_places` does.
  virtual void bind(const std::vector<std::string>& names) = 0;

  // Takes the inputs of the following calls, in the order of the names, on the program's device.
  virtual void set(const std::vector<at::Tensor>& inputs) = 0;

  // Calls the model and keeps its return value. Nothing else is in the timed region.
  virtual void call() = 0;

  // The outputs of the latest call. Throws Failure if they contain anything but tensors.
  virtual NamedTensors outputs() const = 0;
};

// Loads a file onto the device: an AOTInductor package (.pt2), an ONNX file (.onnx), an ExecuTorch
// program (.pte), or else a TorchScript file. The first file that uses an operator of torchvision also
// loads torchvision's library.
// Throws Failure for a file that is missing, truncated or none of these.
// capturable: it will be captured in a CUDA graph. runtime: of an ONNX file, openvino or onnxruntime; the
// library libRUNTIME_program.so next to this program opens the file.
std::unique_ptr<Program> load_program(const std::string& path, c10::Device device,
                                      bool capturable = false,
                                      const std::string& runtime = kDefaultRuntime);

}  // namespace runner
