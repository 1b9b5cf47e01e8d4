// A loaded model with an input in place, for the commands and the serve loop.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "program.h"
#include "tensors.h"

namespace runner {

// The settings of torch; the same fields as in deploybench/settings.py.
struct Settings {
  std::string device = "cpu";
  int64_t threads = 0;  // 0: torch's default
  int64_t interop_threads = 0;
  std::string grad_mode = "inference";  // or "no_grad"
  bool cudnn_tf32 = true;
  std::string matmul_precision = "highest";
  bool cudnn_benchmark = false;
  bool cudnn_deterministic = false;
  std::string dtype = "float32";  // of the inputs
  bool channels_last = false;     // memory format of floating-point inputs with 4 dimensions
  std::string allocator = "tuned";  // or "default"; see allocator.h
  std::string cpu_mask;  // the CPUs that the process could use when it started; empty if unknown
};

class Session {
 public:
  Session();
  ~Session();

  // Unloads the model, puts the settings in force and returns what torch then reports. Throws Failure
  // for an invalid setting and for a device that does not exist. Inter-op threads can be set only
  // once in a process.
  Settings configure(const Settings& settings);

  // Loads a program onto the device; see program.h. as_graph: the first call captures it in a CUDA
  // graph, which the following calls replay; throws Failure on a CPU and if graphs are not supported.
  // If the capture fails, that call throws Fatal.
  // runtime: of an ONNX file.
  void load(const std::string& path, bool as_graph = false,
            const std::string& runtime = kDefaultRuntime);
  void unload();

  // The runtime of the model; see program.h.
  std::string title() const;

  // Copies the inputs, tensors on the CPU, to the device, in the memory format of the settings. Throws
  // Failure for a floating-point input of another dtype than the settings', and for inputs that the
  // model does not take.
  void put(NamedTensors inputs);

  // Calls the model `count` times, untimed. This method and those below throw Failure for more than a
  // million calls, which would exceed any deadline.
  void run(int64_t count);

  // Calls the model `count` times; the seconds of each call, with the device synchronised at both
  // ends. with_copies: include the inputs' transfer to the device and the outputs' transfer back.
  std::vector<double> time(int64_t count, bool with_copies = false);

  // Calls the model `count` times and synchronises once at the end; the total seconds.
  double queue(int64_t count, bool with_copies = false);

  // Calls the model `count` times; the seconds of each between two CUDA events.
  std::vector<double> time_by_events(int64_t count);

  // The peak of bytes allocated on the device since `load` began, above those allocated before; 0 on
  // a CPU. Memory that does not come from torch's allocator is not included.
  int64_t peak_device_bytes() const;

  // The outputs of the latest call, contiguous on the CPU; a classifier's logits come first.
  NamedTensors outputs() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string torch_version();

}  // namespace runner
