// A loaded model, whatever it was exported as.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <memory>
#include <string>
#include <vector>

#include "tensors.h"

namespace runner {

// Inputs and outputs have names: of inputs those of parameters, or their positions from 0; of outputs
// paths into what the model returns, as outputs.h has them.
class Program {
 public:
  virtual ~Program() = default;

  // What runs the model, as the columns of tables have it.
  virtual const char* title() const = 0;

  // Takes the names of the inputs that `set` will be given. Throws Failure as `find_places` does.
  virtual void bind(const std::vector<std::string>& names) = 0;

  // Takes the inputs of the calls that follow, in the order of the names, on the program's device.
  virtual void set(const std::vector<at::Tensor>& inputs) = 0;

  // Calls the model; what it returns stays where it is. Nothing else is in the timed region.
  virtual void call() = 0;

  // What the latest call returned. Throws Failure where that holds anything but tensors.
  virtual NamedTensors outputs() const = 0;
};

// Loads a file onto the device: a package of AOTInductor (.pt2), an ONNX file (.onnx), or else a
// TorchScript file. Throws Failure for a file that is missing, cut short or neither. capturable: it
// is to be captured in a CUDA graph.
std::unique_ptr<Program> load_program(const std::string& path, c10::Device device,
                                      bool capturable = false);

}  // namespace runner
