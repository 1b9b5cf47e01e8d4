// An ExecuTorch program, whose operators XNNPACK computes on the CPU.
//
// This is a separate library, which program.cpp opens when it first loads such a file; see
// openvino_program.cpp.

#include <ATen/Functions.h>

#include <executorch/extension/module/module.h>
#include <executorch/extension/tensor/tensor.h>

#include "failure.h"
#include "inputs.h"
#include "program.h"

// The header of the thread pool is not in the wheel, only its library is.
namespace executorch::extension::threadpool {
class ThreadPool {
 public:
  size_t get_thread_count() const;
  bool _unsafe_reset_threadpool(uint32_t count);
};
ThreadPool* get_threadpool();
}  // namespace executorch::extension::threadpool

namespace {

namespace et = executorch;
using et::extension::Module;
using et::runtime::Error;
using et::runtime::EValue;
using runner::Failure;

constexpr const char* kMethod = "forward";

void require(Error error, const std::string& what) {
  if (error != Error::Ok)
    throw std::runtime_error(what + ": error " + std::to_string(static_cast<int>(error)));
}

// ExecuTorch numbers the dtypes as PyTorch does.
at::ScalarType dtype_of(et::aten::ScalarType type) { return static_cast<at::ScalarType>(type); }

void use_threads(int count) {
  auto* pool = et::extension::threadpool::get_threadpool();
  const auto wanted = static_cast<uint32_t>(count);
  if (pool->get_thread_count() != wanted) pool->_unsafe_reset_threadpool(wanted);
  if (pool->get_thread_count() != wanted)
    throw Failure("ExecuTorch uses " + std::to_string(pool->get_thread_count()) + " threads, not " +
                  std::to_string(count));
}

class ExecuTorch : public runner::Program {
 public:
  ExecuTorch(const std::string& path, int threads) : module_(path) {
    use_threads(threads);
    require(module_.load_method(kMethod), "its method forward cannot be loaded");
  }

  const char* title() const override { return "ExecuTorch (C++)"; }

  // A program knows its inputs by position.
  void bind(const std::vector<std::string>& names) override {
    std::vector<runner::Parameter> parameters;
    for (size_t place = 0; place < meta().num_inputs(); ++place)
      parameters.push_back({std::to_string(place)});
    places_ = runner::find_places(names, parameters);
    inputs_.assign(places_.size(), nullptr);
    values_.assign(places_.size(), EValue());
  }

  void set(const std::vector<at::Tensor>& inputs) override {
    for (size_t index = 0; index < inputs.size(); ++index) {
      inputs_[index] = wrap(inputs[index], places_[index]);
      values_[places_[index]] = EValue(*inputs_[index]);
    }
    kept_ = inputs;
  }

  void call() override {
    auto returned = module_.forward(values_);
    require(returned.error(), "ExecuTorch failed");
    returned_ = std::move(*returned);
  }

  runner::NamedTensors outputs() const override {
    runner::NamedTensors outputs;
    for (size_t place = 0; place < returned_.size(); ++place) {
      if (!returned_[place].isTensor()) throw Failure("the model returned what is no tensor");
      const auto tensor = returned_[place].toTensor();
      const std::vector<int64_t> sizes(tensor.sizes().begin(), tensor.sizes().end());
      // Cloned, because the next call writes to the same memory.
      const auto values =
          at::from_blob(tensor.mutable_data_ptr(), sizes, dtype_of(tensor.scalar_type()));
      outputs.push_back({returned_.size() == 1 ? "" : std::to_string(place), values.clone()});
    }
    return outputs;
  }

 private:
  et::runtime::MethodMeta meta() {
    auto found = module_.method_meta(kMethod);
    require(found.error(), "its method forward cannot be read");
    return *found;
  }

  // A view of `tensor` for ExecuTorch. The checks are made here, so that an error is one line.
  et::extension::TensorPtr wrap(const at::Tensor& tensor, size_t place) {
    auto taken = meta().input_tensor_meta(place);
    require(taken.error(), "input " + std::to_string(place) + " is no tensor");
    const std::vector<int64_t> sizes(taken->sizes().begin(), taken->sizes().end());
    const auto dtype = dtype_of(taken->scalar_type());
    if (tensor.scalar_type() != dtype || tensor.sizes() != at::IntArrayRef(sizes))
      throw Failure("the ExecuTorch program takes " + runner::type_name(at::empty(sizes, dtype)) +
                    ", not " + runner::type_name(tensor));
    if (!tensor.is_cpu()) throw Failure("ExecuTorch takes its inputs from the CPU");
    if (!tensor.is_contiguous())
      throw Failure("ExecuTorch does not support channels-last inputs; run it without --channels-last");
    std::vector<et::aten::SizesType> small(sizes.begin(), sizes.end());
    return et::extension::from_blob(tensor.data_ptr(), std::move(small), taken->scalar_type());
  }

  Module module_;
  std::vector<size_t> places_;  // of each input
  std::vector<et::extension::TensorPtr> inputs_;
  std::vector<at::Tensor> kept_;  // kept alive, because the views do not own them
  std::vector<EValue> values_;    // in the order of the program
  std::vector<EValue> returned_;
};

}  // namespace

extern "C" runner::Program* open_program(const char* path, int threads) {
  return new ExecuTorch(path, threads);
}
