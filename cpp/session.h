// A loaded model with an input in place: what the commands and the serve loop share.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

namespace runner {

// How torch computes; the same fields as deploybench/settings.py.
struct Settings {
  std::string device = "cpu";
  int threads = 0;  // 0: what torch takes
  int interop_threads = 0;
  std::string grad_mode = "inference";  // or "no_grad"
  bool cudnn_tf32 = true;
  std::string matmul_precision = "highest";
  bool cudnn_benchmark = false;
  bool cudnn_deterministic = false;
  std::string dtype = "float32";  // of the inputs
  bool channels_last = false;     // the inputs' layout
  std::string allocator = "tuned";  // or "default"; see allocator.h
};

class Session {
 public:
  Session();
  ~Session();

  // Puts the settings in force and returns what torch then reports. Throws Failure for a device
  // that is not there. Inter-op threads can be set once in the life of a process.
  Settings configure(const Settings& settings);

  // Loads a program onto the device; see program.h. as_graph: the first call captures it in a CUDA
  // graph, which the calls that follow replay; a Failure on a CPU and where torch has no such thing.
  void load(const std::string& path, bool as_graph = false);
  void unload();

  // Copies an input, a tensor on the CPU, to the device.
  void put(const at::Tensor& input);

  // Calls the model `count` times, untimed.
  void run(int count);

  // Calls the model `count` times; the seconds of each call, device synchronised at both ends.
  // with_copies: with the input's way to the device and the output's way back.
  std::vector<double> time(int count, bool with_copies = false);

  // Calls the model `count` times with one synchronise at the end; the seconds in all.
  double queue(int count, bool with_copies = false);

  // Calls the model `count` times; the seconds of each between two CUDA events.
  std::vector<double> time_by_events(int count);

  // The most bytes that were allocated on the device since `load` began, beside what was there then;
  // 0 on a CPU. What a program takes past torch's allocator is not in it.
  int64_t peak_device_bytes() const;

  // The output of the latest call, on the CPU: logits [batch, classes].
  at::Tensor output() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string torch_version();

}  // namespace runner
