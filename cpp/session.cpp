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

#include <chrono>
#include <map>
#include <optional>

#include "allocator.h"
#include "failure.h"
#include "graph.h"
#include "program.h"
#include "tensors.h"

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
      throw Failure("device '" + name + "' is not there: " +
                    (count ? std::to_string(count) + " CUDA devices are here" : "none is here") +
                    "; use --device cpu");
  }
  return *device;
}

constexpr int kCallsBeforeCapture = 4;

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
  at::Tensor host_input;
  at::Tensor input;
  at::Tensor logits;
  bool interop_set = false;
  int64_t allocated_before = 0;

  // The stream of the calls; CUDA's headers, which are not in the wheel, are not needed for it.
  c10::Stream stream() const {
    return c10::impl::VirtualGuardImpl(device.type()).getStream(device);
  }

  // Waits for that stream alone: what others do on the device is no part of a call.
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

  void place() {
    if (graph && input.sizes() == host_input.sizes()) {
      // A graph reads its input from where it was when it was captured.
      input.copy_(host_input);
      return;
    }
    graph.reset();
    input = host_input.to(device);
    if (channels_last) input = input.contiguous(at::MemoryFormat::ChannelsLast);
  }

  void call(bool with_copies) {
    if (with_copies) place();
    if (as_graph && !graph) capture();
    if (graph)
      graph->replay();
    else
      logits = program->run(input);
    if (with_copies) logits.to(at::kCPU);
  }

  // On a stream of its own, which capturing asks for, and after calls that let TorchScript profile
  // and cuDNN choose.
  void capture() {
    const c10::impl::VirtualGuardImpl streams(device.type());
    const c10::Stream side = streams.getStreamFromGlobalPool(device, /*isHighPriority=*/false);
    synchronize();
    const c10::StreamGuard guard(side);
    for (int call = 0; call < kCallsBeforeCapture; ++call) program->run(input);
    side.synchronize();
    auto captured = std::make_unique<Graph>();
    captured->capture_begin();
    logits = program->run(input);
    captured->capture_end();
    graph = std::move(captured);
  }

  void require_ready() const {
    if (!program) throw Failure("no model is loaded");
    if (!input.defined()) throw Failure("no input is in place");
  }
};

Session::Session() : state_(std::make_unique<State>()) {}
Session::~Session() = default;

Settings Session::configure(const Settings& settings) {
  State& state = *state_;
  state.device = find_device(settings.device);
  // Without it the allocator knows no device until the first allocation.
  if (state.device.is_cuda()) {
    at::globalContext().lazyInitDevice(state.device.type());
    // Events would begin with a context on the first GPU, whichever holds the model.
    c10::impl::VirtualGuardImpl(state.device.type()).setDevice(state.device);
  }
  if (settings.grad_mode != "inference" && settings.grad_mode != "no_grad")
    throw Failure("unknown grad mode '" + settings.grad_mode + "': allowed: inference, no_grad");
  state.grad_mode = settings.grad_mode;
  if (settings.allocator == "tuned") tune_allocator();
  state.dtype = settings.dtype;
  state.channels_last = settings.channels_last;
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
  in_force.dtype = state.dtype;
  in_force.channels_last = state.channels_last;
  in_force.allocator = allocator_is_tuned() ? "tuned" : "default";
  return in_force;
}

void Session::load(const std::string& path, bool as_graph) {
  unload();
  const c10::Device device = state_->device;
  if (as_graph && !device.is_cuda()) throw Failure("a CUDA graph needs a GPU");
  if (as_graph && !kHasGraphs)
    throw Failure("this program was built without CUDA's headers and captures no graphs");
  if (device.is_cuda()) {
    at::getDeviceAllocator(device.type())->resetPeakStats(device.index());
    // What earlier models have left there, as a workspace of each stream, is not this one's.
    state_->allocated_before = allocated_bytes(device).current;
  }
  state_->program = load_program(path, device, as_graph);
  state_->as_graph = as_graph;
}

int64_t Session::peak_device_bytes() const {
  const c10::Device device = state_->device;
  if (!device.is_cuda()) return 0;
  return allocated_bytes(device).peak - state_->allocated_before;
}

void Session::unload() {
  state_->graph.reset();
  state_->as_graph = false;
  state_->program.reset();
  state_->logits.reset();
  state_->input.reset();
  state_->host_input.reset();
  release_memory();
}

void Session::put(const at::Tensor& input) {
  if (dtype_name(input) != state_->dtype)
    throw Failure("an input of " + dtype_name(input) + " where " + state_->dtype + " was asked for");
  state_->host_input = input;
  state_->in_grad_mode([&] { state_->place(); });
  state_->synchronize();
}

void Session::run(int count) {
  state_->require_ready();
  state_->in_grad_mode([&] {
    for (int call = 0; call < count; ++call) state_->call(false);
  });
}

std::vector<double> Session::time(int count, bool with_copies) {
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

double Session::queue(int count, bool with_copies) {
  state_->require_ready();
  double seconds = 0;
  state_->in_grad_mode([&] {
    state_->synchronize();
    const auto start = Clock::now();
    for (int call = 0; call < count; ++call) state_->call(with_copies);
    state_->synchronize();
    seconds = seconds_since(start);
  });
  return seconds;
}

std::vector<double> Session::time_by_events(int count) {
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

at::Tensor Session::output() const {
  if (!state_->logits.defined()) throw Failure("no call was made");
  return state_->logits.to(at::kCPU).contiguous();
}

std::string torch_version() { return TORCH_VERSION; }

}  // namespace runner
