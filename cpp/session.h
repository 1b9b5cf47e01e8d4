// A loaded model with an input in place: what the commands and the serve loop share.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tensors.h"

namespace runner {

// How torch computes; the same fields as deploybench/settings.py.
struct Settings {
  std::string device = "cpu";
  int64_t threads = 0;  // 0: what torch takes
  int64_t interop_threads = 0;
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

  // Puts the settings in force and returns what torch then reports; a model that was loaded is
  // forgotten. Throws Failure for a setting that is none and a device that is not there. Inter-op threads can be set once in the life of a process.
  Settings configure(const Settings& settings);

  // Loads a program onto the device; see program.h. as_graph: the first call captures it in a CUDA
  // graph, which the calls that follow replay; a Failure on a CPU and where torch has no such thing.
  // Where the capture fails, the call throws Fatal.
  void load(const std::string& path, bool as_graph = false);
  void unload();

  // What runs the model; see program.h.
  std::string title() const;

  // Copies the inputs, tensors on the CPU, to the device, laid out as the settings say. Throws Failure
  // for one in floating point of another dtype than the settings', and for what the model does not
  // take.
  void put(NamedTensors inputs);

  // Calls the model `count` times, untimed. This and those below throw Failure for more than a
  // million calls, which no deadline would wait for.
  void run(int64_t count);

  // Calls the model `count` times; the seconds of each call, device synchronised at both ends.
  // with_copies: with the inputs' way to the device and the outputs' way back.
  std::vector<double> time(int64_t count, bool with_copies = false);

  // Calls the model `count` times with one synchronise at the end; the seconds in all.
  double queue(int64_t count, bool with_copies = false);

  // Calls the model `count` times; the seconds of each between two CUDA events.
  std::vector<double> time_by_events(int64_t count);

  // The most bytes that were allocated on the device since `load` began, beside what was there then;
  // 0 on a CPU. What a program takes past torch's allocator is not in it.
  int64_t peak_device_bytes() const;

  // What the latest call returned, on the CPU, contiguous; of a classifier the first are its logits.
  NamedTensors outputs() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string torch_version();

}  // namespace runner
