// model_runner: runs deployed models on LibTorch, OpenVINO and ONNX Runtime, in a process without Python.

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "commands.h"
#include "failure.h"
#include "parent.h"
#include "serve.h"
#include "session.h"

namespace {

constexpr const char* kHelp = R"(usage:
  model_runner infer MODEL INPUT.dat [--labels FILE] [--device D] [--threads N]
                     [--runtime R]
      Print the five most likely classes of an image that tools/read_image.py wrote.
      One that was prepared for another model is refused, as far as both files say.
  model_runner bench MODEL [--rounds 100] [--warm-up 10] [--size 224] [--batch-size 1]
                     [--device D] [--threads N] [--runtime R]
      Print the latency of a call in milliseconds. Each call is synchronised with the
      device at both ends.
  model_runner serve
      Serve the line protocol that deploybench uses; it is documented in cpp/serve.cpp.
  model_runner --version | --help

MODEL is a TorchScript file, an AOTInductor package (.pt2), an ONNX file (.onnx) or an
ExecuTorch program (.pte).
R runs an ONNX file: openvino (the default) or onnxruntime.
D is cpu (the default), cuda or cuda:N. Memory that a call frees is kept for the next call.

exit codes:
  0 done
  1 failed
  2 usage error
)";

struct Usage : std::runtime_error {
  using std::runtime_error::runtime_error;
};

using Setter = std::function<void(const std::string&)>;

Setter text(std::string& target) {
  return [&target](const std::string& given) { target = given; };
}

Setter positive(int& target) {
  return [&target](const std::string& given) {
    char* end = nullptr;
    const long number = std::strtol(given.c_str(), &end, 10);
    if (given.empty() || *end || number < 1 || number > 1'000'000)
      throw Usage("'" + given + "' is not a positive whole number");
    target = int(number);
  };
}

// Reads `words` into positional arguments, all of which must be given, and options.
void read(const std::vector<std::string>& words, const std::vector<Setter>& positional,
          const std::map<std::string, Setter>& options) {
  size_t taken = 0;
  for (size_t index = 2; index < words.size(); ++index) {
    const std::string& word = words[index];
    if (word.rfind("--", 0) == 0) {
      const auto option = options.find(word);
      if (option == options.end()) throw Usage("unknown option '" + word + "'");
      if (++index == words.size()) throw Usage(word + " needs a value");
      option->second(words[index]);
    } else if (taken < positional.size()) {
      positional[taken++](word);
    } else {
      throw Usage("unexpected argument '" + word + "'");
    }
  }
  if (taken < positional.size()) throw Usage(words[1] + " needs another argument");
}

int run(const std::vector<std::string>& words) {
  const std::string command = words.size() > 1 ? words[1] : "";
  if (command == "infer") {
    runner::InferOptions options;
    read(words, {text(options.model), text(options.input)},
         {{"--labels", text(options.labels)},
          {"--device", text(options.device)},
          {"--runtime", text(options.runtime)},
          {"--threads", positive(options.threads)}});
    runner::infer(options);
  } else if (command == "bench") {
    runner::BenchOptions options;
    read(words, {text(options.model)},
         {{"--device", text(options.device)},
          {"--runtime", text(options.runtime)},
          {"--threads", positive(options.threads)},
          {"--rounds", positive(options.rounds)},
          {"--warm-up", positive(options.warm_up)},
          {"--size", positive(options.size)},
          {"--batch-size", positive(options.batch_size)}});
    runner::bench(options);
  } else if (command == "serve") {
    runner::end_with_parent();  // so as not to outlive a killed test run
    return runner::serve();
  } else if (command == "--version") {
    std::printf("model_runner on LibTorch %s\n", runner::torch_version().c_str());
  } else if (command == "--help") {
    std::fputs(kHelp, stdout);
  } else {
    throw Usage(command.empty() ? "a command is missing" : "unknown command '" + command + "'");
  }
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  // Without it, an AOTInductor package returns garbage for an input of another shape. Set here,
  // before another thread could read the environment.
  setenv("AOTI_RUNTIME_CHECK_INPUTS", "1", /*overwrite=*/1);
  setenv("ORT_DISABLE_TELEMETRY", "1", /*overwrite=*/0);  // see deploybench/formats/onnx.py
  try {
    return run({arguments, arguments + count});
  } catch (const Usage& error) {
    std::fprintf(stderr, "model_runner: %s; see model_runner --help\n", error.what());
    return 2;
  } catch (const std::exception&) {
    std::fprintf(stderr, "model_runner: %s\n", runner::current_error().c_str());
    return 1;
  }
}
