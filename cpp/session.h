// A loaded model with an input in place: what the commands and the serve loop share.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace runner {

// An error whose one line is meant for the user.
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

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
};

class Session {
 public:
  Session();
  ~Session();

  // Puts the settings in force and returns what torch then reports. Throws Failure for a device
  // that is not there. Inter-op threads can be set once in the life of a process.
  Settings configure(const Settings& settings);

  // Loads a TorchScript file onto the device, in evaluation mode.
  void load(const std::string& path);
  void unload();

  // Copies an input to the device.
  void put(const at::Tensor& input);

  // Calls the model `count` times, untimed.
  void run(int count);

  // Calls the model `count` times; the seconds of each call, device synchronised at both ends.
  std::vector<double> time(int count);

  // The output of the latest call, on the CPU: logits [batch, classes].
  at::Tensor output() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Raw little-endian values of a file as a tensor, and back. dtype: float32, float16, bfloat16.
at::Tensor read_tensor(const std::string& path, const std::string& dtype,
                       const std::vector<int64_t>& shape);
void write_tensor(const std::string& path, const at::Tensor& tensor);
std::string dtype_name(const at::Tensor& tensor);

// An image file as tools/read_image.py writes it: float32 [1, 3, size, size].
at::Tensor read_image(const std::string& path);

std::string torch_version();

// What went wrong, in one line without a backtrace. To be called within a catch block.
std::string current_error();

}  // namespace runner
