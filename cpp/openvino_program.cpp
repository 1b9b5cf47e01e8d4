// A model as ONNX, run by OpenVINO on the CPU in float32.
//
// This is a separate library, which program.cpp opens when it first loads such a file. So the program
// itself does not need OpenVINO, and other runs are not linked with a second runtime.

#include <ATen/Functions.h>

#include <openvino/openvino.hpp>

#include <map>

#include "failure.h"
#include "inputs.h"
#include "program.h"

namespace {

using runner::Failure;

const std::map<ov::element::Type_t, at::ScalarType> kDtypes = {
    {ov::element::f64, at::kDouble},    {ov::element::f32, at::kFloat},
    {ov::element::f16, at::kHalf},      {ov::element::bf16, at::kBFloat16},
    {ov::element::i64, at::kLong},      {ov::element::i32, at::kInt},
    {ov::element::i16, at::kShort},     {ov::element::i8, at::kChar},
    {ov::element::u8, at::kByte},       {ov::element::boolean, at::kBool}};

at::ScalarType dtype_of(const ov::element::Type& type) {
  const auto known = kDtypes.find(type);
  if (known == kDtypes.end())
    throw Failure("the ONNX file uses " + type.get_type_name() + ", which torch does not have");
  return known->second;
}

std::string type_name(const ov::Output<const ov::Node>& port) {
  return runner::dtype_name(dtype_of(port.get_element_type())) + " " +
         port.get_partial_shape().to_string();
}

// A view of `tensor` for OpenVINO. The checks are made here, because OpenVINO reads the pointer
// without any.
ov::Tensor wrap(const at::Tensor& tensor, const ov::Output<const ov::Node>& port) {
  const ov::Shape shape(tensor.sizes().begin(), tensor.sizes().end());
  const bool fits = tensor.scalar_type() == dtype_of(port.get_element_type()) &&
                    port.get_partial_shape().compatible(ov::PartialShape(shape));
  if (!fits)
    throw Failure("the ONNX file takes " + type_name(port) + ", not " + runner::type_name(tensor));
  if (!tensor.is_cpu()) throw Failure("OpenVINO takes its inputs from the CPU");
  if (!tensor.is_contiguous())
    throw Failure("OpenVINO does not support channels-last inputs; run it without --channels-last");
  return ov::Tensor(port.get_element_type(), shape, tensor.data_ptr());
}

class OpenVino : public runner::Program {
 public:
  OpenVino(const std::string& path, int threads)
      : model_(ov::Core().compile_model(
            path, "CPU",
            // Float32 explicitly, because the default may be bfloat16.
            ov::hint::inference_precision(ov::element::f32), ov::inference_num_threads(threads),
            ov::hint::performance_mode(ov::hint::PerformanceMode::LATENCY))),
        request_(model_.create_infer_request()) {}

  const char* title() const override { return "OpenVINO (C++)"; }

  void bind(const std::vector<std::string>& names) override {
    std::vector<runner::Parameter> parameters;
    for (const auto& port : model_.inputs()) parameters.push_back({port.get_any_name()});
    ports_.clear();
    for (const size_t place : runner::find_places(names, parameters))
      ports_.push_back(model_.inputs()[place]);
  }

  void set(const std::vector<at::Tensor>& inputs) override {
    for (size_t index = 0; index < inputs.size(); ++index)
      request_.set_tensor(ports_[index], wrap(inputs[index], ports_[index]));
    inputs_ = inputs;
  }

  void call() override { request_.infer(); }

  runner::NamedTensors outputs() const override {
    runner::NamedTensors outputs;
    for (const auto& port : model_.outputs()) {
      ov::Tensor tensor = request_.get_tensor(port);
      const auto& shape = tensor.get_shape();
      const std::vector<int64_t> sizes(shape.begin(), shape.end());
      // Cloned, because the next call writes to the same memory.
      const auto values = at::from_blob(tensor.data(), sizes, dtype_of(tensor.get_element_type()));
      outputs.push_back({port.get_any_name(), values.clone()});
    }
    return outputs;
  }

 private:
  ov::CompiledModel model_;
  mutable ov::InferRequest request_;  // its get_tensor is not const
  std::vector<ov::Output<const ov::Node>> ports_;  // of each input
  std::vector<at::Tensor> inputs_;  // kept alive, because the request does not own them
};

}  // namespace

extern "C" runner::Program* open_program(const char* path, int threads) {
  return new OpenVino(path, threads);
}
