#include "session.h"

#include <ATen/core/Tensor.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/Event.h>
#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/cuda.h>
#include <torch/version.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>

#include "allocator.h"
#include "capture.h"
#include "cpus.h"
#include "failure.h"
#include "graph.h"
#include "program.h"

namespace runner {

namespace {

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
      throw Failure("device '" + name + "' does not exist: this machine has " +
                    (count ? std::to_string(count) + " CUDA devices" : "no CUDA device") +
                    "; use --device cpu");
  }
  return *device;
}

constexpr int kCallsBeforeCapture = 4;
constexpr int64_t kMostCalls = 1'000'000;
constexpr int64_t kMostThreads = 1024;  // a machine may refuse more, which ends the process

const std::map<std::string, at::ScalarType> kRunDtypes = {
    {"float32", at::kFloat}, {"float16", at::kHalf}, {"bfloat16", at::kBFloat16}};

void require(bool known, const char* what, const std::string& given, const char* allowed) {
  if (!known)
    throw Failure(std::string("unknown ") + what + " '" + given + "': allowed: " + allowed);
}

void check(const Settings& settings) {
  const auto precision = [&](const auto& known) { return known.second == settings.matmul_precision; };
  require(settings.grad_mode == "inference" || settings.grad_mode == "no_grad", "grad mode",
          settings.grad_mode, "inference, no_grad");
  require(kRunDtypes.count(settings.dtype), "dtype", settings.dtype, "float32, float16, bfloat16");
  require(settings.allocator == "tuned" || settings.allocator == "default", "allocator",
          settings.allocator, "tuned, default");
  require(std::any_of(kPrecisions.begin(), kPrecisions.end(), precision), "matmul precision",
          settings.matmul_precision, "highest, high, medium");
  if (std::max(settings.threads, settings.interop_threads) > kMostThreads)
    throw Failure("at most " + std::to_string(kMostThreads) + " threads are allowed");
}

void check_calls(int64_t count) {
  if (count > kMostCalls)
    throw Failure("at most " + std::to_string(kMostCalls) + " calls are allowed at once");
}

std::vector<std::string> names_of(const NamedTensors& tensors) {
  std::vector<std::string> names;
  for (const auto& named : tensors) names.push_back(named.name);
  return names;
}

// Whether a graph captured with the inputs `one` can be replayed with `other`.
bool are_alike(const NamedTensors& one, const NamedTensors& other) {
  return std::equal(one.begin(), one.end(), other.begin(), other.end(),
                    [](const NamedTensor& left, const NamedTensor& right) {
                      return left.name == right.name &&
                             left.tensor.scalar_type() == right.tensor.scalar_type() &&
                             left.tensor.sizes() == right.tensor.sizes();
                    });
}

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

c10::CachingAllocator::Stat allocated_bytes(c10::Device device) {
  const auto stats = at::getDeviceAllocator(device.type())->getDeviceStats(device.index());
  using Of = c10::CachingAllocator::StatType;
  return stats.allocated_bytes[static_cast<size_t>(Of::AGGREGATE)];
}

}  // namespace

struct Session::State {
  c10::Device device = at::kCPU;
  std::string grad_mode = "inference";
  std::string dtype = "float32";
  bool channels_last = false;
  std::unique_ptr<Program> program;
  bool as_graph = false;
  std::unique_ptr<Graph> graph;
  NamedTensors host_inputs;        // in the memory format that they have on the device
  std::vector<at::Tensor> inputs;  // on the device, in the same order
  bool placed = false;
  bool called = false;
  bool interop_set = false;
  int64_t allocated_before = 0;

  // The stream of the calls. This does not need CUDA's headers, which are not in the wheel.
  c10::Stream stream() const {
    return c10::impl::VirtualGuardImpl(device.type()).getStream(device);
  }

  // Waits only for that stream: other work on the device is not part of a call.
  void synchronize() const {
    if (device.is_cuda()) stream().synchronize();
  }

  template <typename Calls>
  void in_grad_mode(Calls calls) const {
    if (grad_mode == "inference") {
      const c10::InferenceMode guard;
      calls();
    } else {
      const c10::AutoGradMode guard(false);
      calls();
    }
  }

  // Only copies, because this is timed if copies are included.
  void place() {
    for (size_t index = 0; index < inputs.size(); ++index) {
      const at::Tensor& host = host_inputs[index].tensor;
      // A graph reads its input from the memory where it was at the capture.
      if (graph)
        inputs[index].copy_(host);
      else
        inputs[index] = host.to(device);
    }
    if (!graph) program->set(inputs);
  }

  void forget_inputs() {
    placed = false;
    graph.reset();
    inputs.clear();
    host_inputs.clear();
  }

  void call(bool with_copies) {
    if (with_copies) place();
    if (as_graph && !graph) capture();
    if (graph)
      graph->replay();
    else
      program->call();
    called = true;
    if (with_copies)
      for (const auto& output : program->outputs()) output.tensor.to(at::kCPU);
  }

  // On a separate stream, which a capture requires, and after calls that let TorchScript profile and
  // cuDNN choose algorithms.
  void capture() {
    const c10::impl::VirtualGuardImpl streams(device.type());
    const c10::Stream side = streams.getStreamFromGlobalPool(device, /*isHighPriority=*/false);
    synchronize();
    const c10::StreamGuard guard(side);
    for (int call = 0; call < kCallsBeforeCapture; ++call) program->call();
    side.synchronize();
    auto captured = std::make_unique<Graph>();
    try {
      capture_into(*captured, [&] { program->call(); });
    } catch (const Fatal&) {
      captured.release();  // destroying a partial capture could end the process without a message
      throw;
    }
    graph = std::move(captured);
  }

  void require_ready() const {
    if (!program) throw Failure("no model is loaded");
    if (!placed) throw Failure("no input is in place");
  }
};

Session::Session() : state_(std::make_unique<State>()) {}
Session::~Session() = default;

Settings Session::configure(const Settings& settings) {
  State& state = *state_;
  check(settings);
  const c10::Device device = find_device(settings.device);
  unload();  // from the device of the previous settings
  state.device = device;
  // Otherwise the allocator knows no device until the first allocation.
  if (state.device.is_cuda()) {
    at::globalContext().lazyInitDevice(state.device.type());
    // Otherwise events would create a context on the first GPU, even if the model is on another.
    c10::impl::VirtualGuardImpl(state.device.type()).setDevice(state.device);
  }
  state.grad_mode = settings.grad_mode;
  if (settings.allocator == "tuned") tune_allocator();
  state.dtype = settings.dtype;
  state.channels_last = settings.channels_last;
  if (settings.threads > 0) at::set_num_threads(int(settings.threads));
  if (settings.interop_threads > 0 && !state.interop_set) {
    at::set_num_interop_threads(int(settings.interop_threads));
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
  in_force.interop_threads = at::get_num_interop_threads();
  state.in_grad_mode([&] {
    in_force.grad_mode = c10::InferenceMode::is_enabled() ? "inference" : "no_grad";
  });
  in_force.cudnn_tf32 = context.allowTF32CuDNN();
  in_force.matmul_precision = kPrecisions.at(context.float32MatmulPrecision());
  in_force.cudnn_benchmark = context.benchmarkCuDNN();
  in_force.cudnn_deterministic = context.deterministicCuDNN();
  in_force.dtype = state.dtype;
  in_force.channels_last = state.channels_last;
  in_force.allocator = allocator_is_tuned() ? "tuned" : "default";
  const std::string mask = cpu_mask_at_start();
  in_force.cpu_mask = mask.empty() || settings.cpu_mask.empty() ? settings.cpu_mask : mask;
  return in_force;
}

void Session::load(const std::string& path, bool as_graph, const std::string& runtime) {
  unload();
  const c10::Device device = state_->device;
  if (as_graph && !device.is_cuda()) throw Failure("a CUDA graph needs a GPU");
  if (as_graph && !kHasGraphs)
    throw Failure("this program was built without CUDA's headers and cannot capture graphs");
  if (device.is_cuda()) {
    at::getDeviceAllocator(device.type())->resetPeakStats(device.index());
    // Memory left by earlier models, such as the workspace of a stream, does not count.
    state_->allocated_before = allocated_bytes(device).current;
  }
  const AllCpus guard;  // for the threads of a runtime that OpenMP does not bind
  state_->program = load_program(path, device, as_graph, runtime);
  state_->as_graph = as_graph;
}

int64_t Session::peak_device_bytes() const {
  const c10::Device device = state_->device;
  if (!device.is_cuda()) return 0;
  return allocated_bytes(device).peak - state_->allocated_before;
}

void Session::unload() {
  State& state = *state_;
  state.forget_inputs();
  state.as_graph = false;
  state.called = false;
  state.program.reset();
  // The blocks that torch keeps for reuse have this model's sizes.
  if (state.device.is_cuda()) at::getDeviceAllocator(state.device.type())->emptyCache();
  release_memory();
}

std::string Session::title() const {
  if (!state_->program) throw Failure("no model is loaded");
  return state_->program->title();
}

void Session::put(NamedTensors inputs) {
  State& state = *state_;
  if (!state.program) throw Failure("no model is loaded");
  for (auto& [_, tensor] : inputs) {
    if (!tensor.is_floating_point()) continue;
    if (tensor.scalar_type() != kRunDtypes.at(state.dtype))
      throw Failure("an input is " + dtype_name(tensor.scalar_type()) + " instead of " +
                    state.dtype);
    if (state.channels_last && tensor.dim() == 4)
      tensor = tensor.contiguous(at::MemoryFormat::ChannelsLast);
  }
  if (!are_alike(inputs, state.host_inputs)) {
    state.forget_inputs();
    state.program->bind(names_of(inputs));
  }
  state.placed = false;
  state.host_inputs = std::move(inputs);
  state.inputs.resize(state.host_inputs.size());
  state.in_grad_mode([&] { state.place(); });
  state.synchronize();
  state.placed = true;
}

void Session::run(int64_t count) {
  check_calls(count);
  state_->require_ready();
  state_->in_grad_mode([&] {
    for (int64_t call = 0; call < count; ++call) state_->call(false);
  });
}

std::vector<double> Session::time(int64_t count, bool with_copies) {
  check_calls(count);
  state_->require_ready();
  std::vector<double> seconds(count);
  state_->in_grad_mode([&] {
    for (double& sample : seconds) {
      state_->synchronize();
      const auto start = Clock::now();
      state_->call(with_copies);
      state_->synchronize();
      sample = seconds_since(start);
    }
  });
  return seconds;
}

double Session::queue(int64_t count, bool with_copies) {
  check_calls(count);
  state_->require_ready();
  double seconds = 0;
  state_->in_grad_mode([&] {
    state_->synchronize();
    const auto start = Clock::now();
    for (int64_t call = 0; call < count; ++call) state_->call(with_copies);
    state_->synchronize();
    seconds = seconds_since(start);
  });
  return seconds;
}

std::vector<double> Session::time_by_events(int64_t count) {
  check_calls(count);
  state_->require_ready();
  if (!state_->device.is_cuda()) throw Failure("there are no CUDA events on a CPU");
  const c10::Stream stream = state_->stream();
  std::vector<double> seconds(count);
  state_->in_grad_mode([&] {
    for (double& sample : seconds) {
      c10::Event start(state_->device.type(), c10::EventFlag::BACKEND_DEFAULT);
      c10::Event end(state_->device.type(), c10::EventFlag::BACKEND_DEFAULT);
      start.record(stream);
      state_->call(false);
      end.record(stream);
      end.synchronize();
      sample = start.elapsedTime(end) / 1e3;
    }
  });
  return seconds;
}

NamedTensors Session::outputs() const {
  if (!state_->called) throw Failure("no call was made");
  NamedTensors outputs = state_->program->outputs();
  for (auto& [_, tensor] : outputs) tensor = tensor.to(at::kCPU).contiguous();
  return outputs;
}

std::string torch_version() { return TORCH_VERSION; }

}  // namespace runner
