#include "commands.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <numeric>

#include "failure.h"
#include "session.h"
#include "tensors.h"

namespace runner {

namespace {

std::vector<std::string> read_labels(const std::string& path, int64_t classes) {
  std::ifstream file(path);
  if (!file) throw Failure(path + ": cannot be read; give a text file with a label a line");
  std::vector<std::string> labels;
  for (std::string line; std::getline(file, line);) labels.push_back(line);
  if (int64_t(labels.size()) < classes)
    throw Failure(path + ": holds " + std::to_string(labels.size()) + " labels, the model has " +
                  std::to_string(classes) + " classes; give a file with a line for each");
  return labels;
}

}  // namespace

void infer(const InferOptions& options) {
  Session session;
  Settings settings;
  settings.device = options.device;
  settings.threads = options.threads;
  session.configure(settings);
  const at::Tensor image = read_image(options.input);
  session.load(options.model);
  session.put({{"0", image}});
  session.run(1);
  const at::Tensor logits = session.outputs()[0].tensor;
  const int64_t classes = logits.size(-1);
  std::vector<std::string> labels(classes);
  for (int64_t index = 0; index < classes; ++index) labels[index] = std::to_string(index);
  if (!options.labels.empty()) labels = read_labels(options.labels, classes);
  const auto [values, indices] = at::topk(at::softmax(logits.to(at::kFloat), -1)[0], 5);
  for (int place = 0; place < 5; ++place)
    std::printf("%.2f%% %s\n", 100 * values[place].item<float>(),
                labels[indices[place].item<int64_t>()].c_str());
}

void bench(const BenchOptions& options) {
  Session session;
  Settings settings;
  settings.device = options.device;
  settings.threads = options.threads;
  const Settings in_force = session.configure(settings);
  session.load(options.model);
  session.put({{"0", at::rand({options.batch_size, 3, options.size, options.size})}});
  session.run(options.warm_up);
  std::vector<double> samples = session.time(options.rounds);
  std::sort(samples.begin(), samples.end());
  const size_t middle = samples.size() / 2;
  const double median =
      samples.size() % 2 ? samples[middle] : (samples[middle - 1] + samples[middle]) / 2;
  const double mean = std::accumulate(samples.begin(), samples.end(), 0.0) / double(samples.size());
  std::printf("#head;TorchScript (C++)\n");
  std::printf("%s: %s, %d threads, batch size %d\n", options.model.c_str(),
              in_force.device.c_str(), int(in_force.threads), options.batch_size);
  std::printf("median %.3f ms, mean %.3f, minimum %.3f, maximum %.3f, %d calls\n", median * 1e3,
              mean * 1e3, samples.front() * 1e3, samples.back() * 1e3, options.rounds);
  std::printf("#%s;%f\n", options.model.c_str(), median * 1e3);
}

}  // namespace runner
