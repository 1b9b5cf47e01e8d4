#include "program.h"

#include <torch/csrc/inductor/aoti_package/model_package_loader.h>
#include <torch/script.h>

#include <ATen/Parallel.h>
#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>

#include "failure.h"

namespace runner {

namespace {

constexpr const char* kOnnxLibrary = "libopenvino_program.so";

class TorchScript : public Program {
 public:
  TorchScript(const std::string& path, c10::Device device)
      : module_(torch::jit::load(path, device)) {
    module_.eval();
  }

  at::Tensor run(const at::Tensor& input) override {
    c10::IValue result = module_.forward({input});
    // Scripted googlenet and inception_v3 as torchvision builds them give a tuple, logits first.
    if (result.isTuple() && !result.toTupleRef().elements().empty())
      result = result.toTupleRef().elements()[0];
    if (!result.isTensor()) throw Failure("the model gave no tensor");
    return result.toTensor();
  }

 private:
  torch::jit::Module module_;
};

class Package : public Program {
 public:
  // What lets several threads share a package asks CUDA for events, which cannot be captured.
  Package(const std::string& path, c10::Device device, bool capturable)
      : loader_(path, "model", /*run_single_threaded=*/capturable, /*num_runners=*/1,
                device.index()) {}

  at::Tensor run(const at::Tensor& input) override { return loader_.run({input}).at(0); }

 private:
  torch::inductor::AOTIModelPackageLoader loader_;
};

}  // namespace

namespace {

// An ONNX file, through the library beside this program that links OpenVINO; see openvino_program.cpp.
std::unique_ptr<Program> open_onnx(const std::string& path) {
  const auto library = std::filesystem::read_symlink("/proc/self/exe").parent_path() / kOnnxLibrary;
  // Never closed: what a program holds of it must outlive the program.
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) throw Failure(path + ": an ONNX file needs " + kOnnxLibrary + " (" + dlerror() + ")");
  using Open = Program* (*)(const char*, int);
  const auto open = reinterpret_cast<Open>(dlsym(handle, "open_program"));
  if (!open) throw Failure(library.string() + " is no library of this program; build it anew");
  return std::unique_ptr<Program>(open(path.c_str(), at::get_num_threads()));
}

}  // namespace

std::unique_ptr<Program> load_program(const std::string& path, c10::Device device,
                                      bool capturable) {
  if (!std::filesystem::is_regular_file(path))
    throw Failure(path + ": no such file; write one with tools/generate_ts.py");
  const auto extension = std::filesystem::path(path).extension();
  const bool is_package = extension == ".pt2";
  try {
    if (extension == ".onnx") return open_onnx(path);
    if (!is_package) return std::make_unique<TorchScript>(path, device);
    // Without it a package answers an input that it was not made for with garbage.
    setenv("AOTI_RUNTIME_CHECK_INPUTS", "1", /*replace=*/1);
    return std::make_unique<Package>(path, device, capturable);
  } catch (const Failure&) {
    throw;
  } catch (const std::exception&) {
    const std::string kind = is_package              ? "package of AOTInductor"
                             : extension == ".onnx" ? "ONNX file"
                                                    : "TorchScript file";
    const std::string mend =
        extension == ".ts" ? "write it anew with tools/generate_ts.py" : "export it anew";
    throw Failure(path + ": not a whole " + kind + " (" + current_error() + "); " + mend);
  }
}

}  // namespace runner
