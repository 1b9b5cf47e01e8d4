#include "session.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <torch/cuda.h>
#include <torch/script.h>
#include <torch/version.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>

namespace runner {

namespace {

const std::map<std::string, at::ScalarType> kDtypes = {
    {"float32", at::kFloat}, {"float16", at::kHalf}, {"bfloat16", at::kBFloat16}};

const std::map<at::Float32MatmulPrecision, std::string> kPrecisions = {
    {at::Float32MatmulPrecision::HIGHEST, "highest"},
    {at::Float32MatmulPrecision::HIGH, "high"},
    {at::Float32MatmulPrecision::MEDIUM, "medium"}};

c10::Device find_device(const std::string& name) {
  std::optional<c10::Device> device;
  try {
    device = c10::Device(name);
  } catch (const c10::Error&) {
  }
  if (!device || !(device->is_cpu() || device->is_cuda()))
    throw Failure("unknown device '" + name + "': allowed: cpu, cuda, cuda:N");
  if (device->is_cuda()) {
    const int count = torch::cuda::is_available() ? int(torch::cuda::device_count()) : 0;
    if (!device->has_index()) device->set_index(0);
    if (device->index() >= count)
      throw Failure("device '" + name + "' is not there: " +
                    (count ? std::to_string(count) + " CUDA devices are here" : "none is here") +
                    "; use --device cpu");
  }
  return *device;
}

}  // namespace

struct Session::State {
  c10::Device device = at::kCPU;
  std::string grad_mode = "inference";
  std::optional<torch::jit::Module> module;
  at::Tensor input;
  c10::IValue result;
  bool interop_set = false;

  void synchronize() const {
    if (device.is_cuda()) torch::cuda::synchronize(device.index());
  }

  template <typename Calls>
  void in_grad_mode(Calls calls) const {
    if (grad_mode == "inference") {
      const c10::InferenceMode guard;
      calls();
    } else {
      const at::NoGradGuard guard;
      calls();
    }
  }

  torch::jit::Module& ready() {
    if (!module) throw Failure("no model is loaded");
    if (!input.defined()) throw Failure("no input is in place");
    return *module;
  }
};

Session::Session() : state_(std::make_unique<State>()) {}
Session::~Session() = default;

Settings Session::configure(const Settings& settings) {
  State& state = *state_;
  state.device = find_device(settings.device);
  if (settings.grad_mode != "inference" && settings.grad_mode != "no_grad")
    throw Failure("unknown grad mode '" + settings.grad_mode + "': allowed: inference, no_grad");
  state.grad_mode = settings.grad_mode;
  if (settings.threads > 0) at::set_num_threads(settings.threads);
  if (settings.interop_threads > 0 && !state.interop_set) {
    at::set_num_interop_threads(settings.interop_threads);
    state.interop_set = true;
  }
  auto& context = at::globalContext();
  context.setAllowTF32CuDNN(settings.cudnn_tf32);
  context.setFloat32MatmulPrecision(settings.matmul_precision);
  context.setBenchmarkCuDNN(settings.cudnn_benchmark);
  context.setDeterministicCuDNN(settings.cudnn_deterministic);

  Settings in_force;
  in_force.device = state.device.str();
  in_force.threads = at::get_num_threads();
  in_force.interop_threads = int(at::get_num_interop_threads());
  state.in_grad_mode([&] {
    in_force.grad_mode = c10::InferenceMode::is_enabled() ? "inference" : "no_grad";
  });
  in_force.cudnn_tf32 = context.allowTF32CuDNN();
  in_force.matmul_precision = kPrecisions.at(context.float32MatmulPrecision());
  in_force.cudnn_benchmark = context.benchmarkCuDNN();
  in_force.cudnn_deterministic = context.deterministicCuDNN();
  return in_force;
}

void Session::load(const std::string& path) {
  unload();
  if (!std::filesystem::is_regular_file(path))
    throw Failure(path + ": no such file; write one with tools/generate_ts.py");
  try {
    state_->module = torch::jit::load(path, state_->device);
  } catch (const std::exception&) {
    throw Failure(path + ": not a whole TorchScript file (" + current_error() +
                  "); write it anew with tools/generate_ts.py");
  }
  state_->module->eval();
}

void Session::unload() {
  state_->module.reset();
  state_->result = c10::IValue();
  state_->input.reset();
}

void Session::put(const at::Tensor& input) {
  state_->in_grad_mode([&] { state_->input = input.to(state_->device); });
  state_->synchronize();
}

void Session::run(int count) {
  auto& module = state_->ready();
  state_->in_grad_mode([&] {
    for (int call = 0; call < count; ++call) state_->result = module.forward({state_->input});
  });
}

std::vector<double> Session::time(int count) {
  using Clock = std::chrono::steady_clock;
  auto& module = state_->ready();
  std::vector<double> seconds(count);
  state_->in_grad_mode([&] {
    for (double& sample : seconds) {
      state_->synchronize();
      const auto start = Clock::now();
      state_->result = module.forward({state_->input});
      state_->synchronize();
      sample = std::chrono::duration<double>(Clock::now() - start).count();
    }
  });
  return seconds;
}

at::Tensor Session::output() const {
  c10::IValue result = state_->result;
  // Scripted googlenet and inception_v3 as torchvision builds them give a tuple, logits first.
  if (result.isTuple() && !result.toTupleRef().elements().empty())
    result = result.toTupleRef().elements()[0];
  if (!result.isTensor()) throw Failure("the model gave no tensor");
  return result.toTensor().to(at::kCPU).contiguous();
}

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

std::string torch_version() { return TORCH_VERSION; }

std::string current_error() {
  std::string text;
  try {
    throw;
  } catch (const c10::Error& error) {
    text = error.what_without_backtrace();
  } catch (const std::exception& error) {
    text = error.what();
  }
  // TorchScript's interpreter puts the cause on the last line that begins so, after a traceback.
  const std::string cause = "RuntimeError: ";
  if (const auto start = text.rfind(cause); start != std::string::npos)
    text = text.substr(start + cause.size());
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (line.find_first_not_of(" \t\r") != std::string::npos) return line;
  return "no message";
}

}  // namespace runner
