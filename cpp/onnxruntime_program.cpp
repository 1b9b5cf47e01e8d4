// A model as ONNX, run by ONNX Runtime on the CPU.
//
// This is a separate library, which program.cpp opens when it first loads such a file, as is
// openvino_program.cpp. It opens ONNX Runtime's own library at ONNXRUNTIME_LIBRARY.

#include <ATen/Functions.h>

#include <dlfcn.h>

#include <map>

#include "failure.h"
#include "inputs.h"
#include "onnxruntime_api.h"
#include "program.h"

namespace runner::ort {

const void* const* open_table(const char* path) {
  struct Base {
    const void* const* (*get_table)(uint32_t version);
  };
  static void* const library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) throw Failure(std::string("ONNX Runtime cannot be loaded (") + dlerror() + ")");
  const auto get_base =
      reinterpret_cast<const Base* (*)()>(dlsym(library, "OrtGetApiBase"));
  const void* const* table = get_base ? get_base()->get_table(1) : nullptr;
  if (!table) throw Failure(std::string(path) + " has no C API of version 1; install onnxruntime");
  return table;
}

void require(const void* const* table, Status* status) {
  if (!status) return;
  const std::string message = call(table, kGetErrorMessage, status);
  call(table, kReleaseStatus, status);
  throw std::runtime_error(message);
}

}  // namespace runner::ort

namespace {

using namespace runner::ort;
using runner::Failure;

const std::map<ElementType, at::ScalarType> kDtypes = {
    {kDouble, at::kDouble},     {kFloat, at::kFloat}, {kFloat16, at::kHalf},
    {kBfloat16, at::kBFloat16}, {kInt64, at::kLong},  {kInt32, at::kInt},
    {kInt16, at::kShort},       {kInt8, at::kChar},   {kUint8, at::kByte},
    {kBool, at::kBool}};

// An input or output of the file. A side of the shape that is not fixed is -1.
struct Port {
  std::string name;
  ElementType type;
  std::vector<int64_t> shape;
};

at::ScalarType dtype_of(ElementType type) {
  const auto known = kDtypes.find(type);
  if (known == kDtypes.end())
    throw Failure("the ONNX file uses element type " + std::to_string(type) +
                  ", which torch does not have");
  return known->second;
}

std::string type_name(const Port& port) {
  std::string sides;
  for (const int64_t side : port.shape)
    sides += (sides.empty() ? "" : ",") + (side < 0 ? "?" : std::to_string(side));
  return runner::dtype_name(dtype_of(port.type)) + " [" + sides + "]";
}

bool fits(const at::Tensor& tensor, const Port& port) {
  if (tensor.scalar_type() != dtype_of(port.type) || tensor.dim() != int64_t(port.shape.size()))
    return false;
  for (int64_t index = 0; index < tensor.dim(); ++index)
    if (port.shape[index] >= 0 && port.shape[index] != tensor.size(index)) return false;
  return true;
}

class OnnxRuntime : public runner::Program {
 public:
  OnnxRuntime(const char* path, int threads)
      : table_(open_table(ONNXRUNTIME_LIBRARY)),
        env_(make(table_, kReleaseEnv, kCreateEnv, kErrors, "model_runner")),
        memory_(make(table_, kReleaseMemoryInfo, kCreateCpuMemoryInfo, kArena, kDefaultMemory)) {
    // All else is left at its default, as the backend in Python leaves it.
    const auto options = make(table_, kReleaseSessionOptions, kCreateSessionOptions);
    ask(kSetIntraOpNumThreads, options.get(), threads);
    session_ = make(table_, kReleaseSession, kCreateSession, env_.get(), path, options.get());
    inputs_ = ports(kGetInputCount, kGetInputName, kGetInputTypeInfo);
    outputs_ = ports(kGetOutputCount, kGetOutputName, kGetOutputTypeInfo);
    for (const auto& port : outputs_) output_names_.push_back(port.name.c_str());
    returned_.resize(outputs_.size(), nullptr);
  }

  ~OnnxRuntime() override { release_returned(); }

  const char* title() const override { return "ONNX Runtime (C++)"; }

  void bind(const std::vector<std::string>& names) override {
    std::vector<runner::Parameter> parameters;
    for (const auto& port : inputs_) parameters.push_back({port.name});
    places_ = runner::find_places(names, parameters);
    input_names_.clear();
    for (const size_t place : places_) input_names_.push_back(inputs_[place].name.c_str());
  }

  void set(const std::vector<at::Tensor>& inputs) override {
    values_.clear();
    given_.clear();
    for (size_t index = 0; index < inputs.size(); ++index) {
      values_.push_back(wrap(inputs[index], inputs_[places_[index]]));
      given_.push_back(values_.back().get());
    }
    tensors_ = inputs;
  }

  void call() override {
    release_returned();
    ask(kRun, session_.get(), nullptr, input_names_.data(), given_.data(), given_.size(),
        output_names_.data(), output_names_.size(), returned_.data());
  }

  runner::NamedTensors outputs() const override {
    runner::NamedTensors outputs;
    for (size_t index = 0; index < returned_.size(); ++index) {
      const auto info = make(table_, kReleaseTensorInfo, kGetTensorInfo, returned_[index]);
      const auto [name, type, shape] = port_of(outputs_[index].name, info.get());
      void* data = nullptr;
      ask(kGetData, returned_[index], &data);
      // Cloned, because the next call frees the memory.
      outputs.push_back({name, at::from_blob(data, shape, dtype_of(type)).clone()});
    }
    return outputs;
  }

 private:
  template <typename... Parameters, typename... Arguments>
  void ask(Function<Status*(Parameters...)> function, Arguments... arguments) const {
    require(table_, runner::ort::call(table_, function, arguments...));
  }

  void release_returned() {
    for (Value*& value : returned_) {
      if (value) runner::ort::call(table_, kReleaseValue, value);
      value = nullptr;
    }
  }

  Port port_of(const std::string& name, const TensorInfo* info) const {
    Port port{name, {}, {}};
    size_t dimensions = 0;
    ask(kGetElementType, info, &port.type);
    ask(kGetDimensionsCount, info, &dimensions);
    port.shape.resize(dimensions);
    ask(kGetDimensions, info, port.shape.data(), dimensions);
    return port;
  }

  template <typename Count, typename Name, typename Type>
  std::vector<Port> ports(Count get_count, Name get_name, Type get_type) const {
    Allocator* allocator = nullptr;
    ask(kGetDefaultAllocator, &allocator);
    size_t count = 0;
    ask(get_count, session_.get(), &count);
    std::vector<Port> found;
    for (size_t index = 0; index < count; ++index) {
      char* text = nullptr;
      ask(get_name, session_.get(), index, allocator, &text);
      const std::string name = text;
      ask(kFree, allocator, text);
      const auto type = make(table_, kReleaseTypeInfo, get_type, session_.get(), index);
      const TensorInfo* info = nullptr;
      ask(kCastToTensorInfo, type.get(), &info);
      if (!info) throw Failure("'" + name + "' of the ONNX file is not a tensor");
      found.push_back(port_of(name, info));
    }
    return found;
  }

  // A view of `tensor` for ONNX Runtime, which takes the pointer without any check.
  std::shared_ptr<Value> wrap(const at::Tensor& tensor, const Port& port) const {
    if (!fits(tensor, port))
      throw Failure("the ONNX file takes " + type_name(port) + ", not " + runner::type_name(tensor));
    if (!tensor.is_cpu()) throw Failure("ONNX Runtime takes its inputs from the CPU");
    if (!tensor.is_contiguous())
      throw Failure(
          "ONNX Runtime does not support channels-last inputs; run it without --channels-last");
    return make(table_, kReleaseValue, kCreateTensorOfData, memory_.get(), tensor.data_ptr(),
                tensor.nbytes(), tensor.sizes().data(), size_t(tensor.dim()), port.type);
  }

  const void* const* table_;
  std::shared_ptr<Env> env_;
  std::shared_ptr<MemoryInfo> memory_;
  std::shared_ptr<Session> session_;
  std::vector<Port> inputs_;
  std::vector<Port> outputs_;
  std::vector<const char*> output_names_;
  std::vector<size_t> places_;  // of each given input in the file's order
  std::vector<const char*> input_names_;
  std::vector<std::shared_ptr<Value>> values_;
  std::vector<const Value*> given_;
  std::vector<at::Tensor> tensors_;  // kept alive, because the values do not own their memory
  std::vector<Value*> returned_;
};

}  // namespace

extern "C" runner::Program* open_program(const char* path, int threads) {
  return new OnnxRuntime(path, threads);
}
