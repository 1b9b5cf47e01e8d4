// A model as ONNX, run by OpenVINO on the CPU in float32.
//
// This is a library of its own, which program.cpp opens when such a file is first loaded: the program
// itself needs no OpenVINO, and a run without it is not linked with a second runtime.

#include <ATen/Functions.h>

#include <openvino/openvino.hpp>

#include "program.h"

namespace {

class OpenVino : public runner::Program {
 public:
  OpenVino(const std::string& path, int threads)
      : model_(ov::Core().compile_model(
            path, "CPU",
            // Float32 by name: it would take bfloat16 where it can.
            ov::hint::inference_precision(ov::element::f32), ov::inference_num_threads(threads),
            ov::hint::performance_mode(ov::hint::PerformanceMode::LATENCY))),
        request_(model_.create_infer_request()) {}

  at::Tensor run(const at::Tensor& input) override {
    const ov::Shape shape(input.sizes().begin(), input.sizes().end());
    request_.set_input_tensor(ov::Tensor(ov::element::f32, shape, input.data_ptr()));
    request_.infer();
    ov::Tensor output = request_.get_output_tensor();
    const std::vector<int64_t> sizes(output.get_shape().begin(), output.get_shape().end());
    // The next call writes its logits to the same place.
    return at::from_blob(output.data(), sizes, at::kFloat).clone();
  }

 private:
  ov::CompiledModel model_;
  ov::InferRequest request_;
};

}  // namespace

extern "C" runner::Program* open_program(const char* path, int threads) {
  return new OpenVino(path, threads);
}
