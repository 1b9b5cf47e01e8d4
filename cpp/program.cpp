#include "program.h"

#include <torch/csrc/inductor/aoti_package/model_package_loader.h>
#include <torch/script.h>

#include <ATen/Parallel.h>
#include <dlfcn.h>

#include <filesystem>

#include "failure.h"
#include "inputs.h"
#include "outputs.h"
#include "text.h"

namespace runner {

namespace {

constexpr const char* kTorchvisionLibrary = "libtorchvision_operators.so";

class TorchScript : public Program {
 public:
  TorchScript(const std::string& path, c10::Device device)
      : module_(torch::jit::load(path, device)) {
    module_.eval();
  }

  const char* title() const override { return "TorchScript (C++)"; }

  void bind(const std::vector<std::string>& names) override {
    const auto& schema = module_.get_method("forward").function().getSchema();
    std::vector<Parameter> parameters;
    std::vector<c10::IValue> arguments;
    for (size_t index = 1; index < schema.arguments().size(); ++index) {  // 0 is the module itself
      const auto& argument = schema.arguments()[index];
      parameters.push_back({argument.name(), argument.default_value().has_value()});
      arguments.push_back(argument.default_value().value_or(c10::IValue()));
    }
    places_ = find_places(names, parameters);
    arguments_ = std::move(arguments);
  }

  void set(const std::vector<at::Tensor>& inputs) override {
    for (size_t index = 0; index < inputs.size(); ++index)
      arguments_[places_[index]] = inputs[index];
  }

  void call() override { returned_ = module_.forward(arguments_); }

  NamedTensors outputs() const override { return flatten(returned_); }

 private:
  torch::jit::Module module_;
  std::vector<size_t> places_;  // of each input among the arguments
  std::vector<c10::IValue> arguments_;
  c10::IValue returned_;
};

// A package knows its inputs and outputs by position. Their names come from its metadata `inputs` and
// `outputs`, one name per line, including None. Without metadata, names are positions, and the name
// of a single output is empty.
class Package : public Program {
 public:
  // To let several threads share a package, the loader queries CUDA events, which cannot be captured.
  Package(const std::string& path, c10::Device device, bool capturable)
      : loader_(path, "model", /*run_single_threaded=*/capturable, /*num_runners=*/1,
                device.index()),
        input_names_(listed("inputs")),
        output_names_(listed("outputs")) {}

  const char* title() const override { return "AOTInductor (C++)"; }

  void bind(const std::vector<std::string>& names) override {
    std::vector<Parameter> parameters;
    for (const auto& name : input_names_) parameters.push_back({name});
    while (input_names_.empty() && parameters.size() < names.size())
      parameters.push_back({std::to_string(parameters.size())});
    places_ = find_places(names, parameters);
    inputs_.assign(places_.size(), at::Tensor());
  }

  void set(const std::vector<at::Tensor>& inputs) override {
    for (size_t index = 0; index < inputs.size(); ++index) inputs_[places_[index]] = inputs[index];
  }

  void call() override { returned_ = loader_.run(inputs_); }

  NamedTensors outputs() const override {
    NamedTensors outputs;
    for (size_t index = 0; index < returned_.size(); ++index)
      if (returned_[index].defined()) outputs.push_back({output_name(index), returned_[index]});
    if (outputs.empty()) throw Failure("the model returned no tensor");
    return outputs;
  }

 private:
  std::string output_name(size_t index) const {
    if (output_names_.size() == returned_.size()) return output_names_[index];
    return returned_.size() == 1 ? "" : std::to_string(index);
  }

  std::vector<std::string> listed(const std::string& name) {
    const auto metadata = loader_.get_metadata();
    const auto found = metadata.find(name);
    return found == metadata.end() ? std::vector<std::string>() : split(found->second, '\n');
  }

  torch::inductor::AOTIModelPackageLoader loader_;
  std::vector<std::string> input_names_;
  std::vector<std::string> output_names_;
  std::vector<size_t> places_;  // of each input in the package's order
  std::vector<at::Tensor> inputs_;
  std::vector<at::Tensor> returned_;
};

// A library next to this program, which `what` in the file at `path` needs. Never closed, because it
// must outlive the programs that use it.
void* open_library(const char* name, const std::string& path, const std::string& what) {
  const auto library = std::filesystem::read_symlink("/proc/self/exe").parent_path() / name;
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) throw Failure(path + ": " + what + " needs " + name + " (" + dlerror() + ")");
  return handle;
}

// A file of another runtime, through that one's library; see openvino_program.cpp.
std::unique_ptr<Program> open_with(const std::string& runtime, const std::string& path,
                                   const std::string& what) {
  const std::string library = "lib" + runtime + "_program.so";
  void* handle = open_library(library.c_str(), path, what);
  using Open = Program* (*)(const char*, int);
  const auto open = reinterpret_cast<Open>(dlsym(handle, "open_program"));
  if (!open)
    throw Failure(library + " is not a library of this program; build it again");
  return std::unique_ptr<Program>(open(path.c_str(), at::get_num_threads()));
}

std::unique_ptr<Program> open_onnx(const std::string& path, const std::string& runtime) {
  if (runtime.empty() || runtime.find_first_not_of("abcdefghijklmnopqrstuvwxyz") != std::string::npos)
    throw Failure("'" + runtime + "' is not a runtime of ONNX files: use openvino or onnxruntime");
  return open_with(runtime, path, "an ONNX file");
}

std::unique_ptr<Program> open_file(const std::string& path, c10::Device device, bool capturable,
                                   const std::string& runtime) {
  const auto extension = std::filesystem::path(path).extension();
  if (extension == ".onnx") return open_onnx(path, runtime);
  if (extension == ".pte") return open_with("executorch", path, "an ExecuTorch program");
  if (extension == ".pt2") return std::make_unique<Package>(path, device, capturable);
  return std::make_unique<TorchScript>(path, device);
}

// Opens torchvision's library, the first time that an error names one of its operators; whether it did.
bool adds_operators(const std::string& error, const std::string& path) {
  static bool opened = false;
  if (opened || error.find("torchvision::") == std::string::npos) return false;
  open_library(kTorchvisionLibrary, path, "an operator of torchvision");
  return opened = true;
}

Failure incomplete(const std::string& path, const std::string& error) {
  const auto extension = std::filesystem::path(path).extension();
  const std::string kind = extension == ".pt2"    ? "AOTInductor package"
                           : extension == ".onnx" ? "ONNX file"
                           : extension == ".pte"  ? "ExecuTorch program"
                                                  : "TorchScript file";
  const std::string remedy =
      extension == ".ts" ? "write it again with tools/generate_ts.py" : "export it again";
  return Failure(path + " is not a complete " + kind + " (" + error + "); " + remedy);
}

}  // namespace

std::unique_ptr<Program> load_program(const std::string& path, c10::Device device,
                                      bool capturable, const std::string& runtime) {
  if (!std::filesystem::is_regular_file(path))
    throw Failure(path + " does not exist; write a TorchScript file with tools/generate_ts.py");
  try {
    return open_file(path, device, capturable, runtime);
  } catch (const Failure&) {
    throw;
  } catch (const std::exception&) {
    const std::string error = current_error();
    if (!adds_operators(error, path)) throw incomplete(path, error);
  }
  return load_program(path, device, capturable, runtime);
}

}  // namespace runner
