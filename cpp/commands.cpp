#include "commands.h"

#include <ATen/Functions.h>
#include <caffe2/serialize/inline_container.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <numeric>

#include "failure.h"
#include "session.h"
#include "tensors.h"

namespace runner {

namespace {

constexpr int64_t kMostShown = 5;
constexpr int64_t kFewestForNote = 10;  // of few classes, an unsure model says about the same
constexpr double kSumTolerance = 1e-3;  // of a sum of 1 after rounding to half precision

// Whether a label could move the cursor, colour the terminal or turn the order of letters; a tab is
// text.
bool has_control_codes(const std::string& label) {
  for (size_t index = 0; index < label.size(); ++index) {
    const auto byte = static_cast<unsigned char>(label[index]);
    if ((byte < 0x20 && byte != '\t') || byte == 0x7f) return true;
    // U+0080 to U+009F in UTF-8.
    if (byte == 0xc2 && index + 1 < label.size() &&
        static_cast<unsigned char>(label[index + 1]) < 0xa0)
      return true;
    // U+202A to U+202E, and U+2066 to U+2069.
    const std::string mark = label.substr(index, 3);
    if (("\xe2\x80\xaa" <= mark && mark <= "\xe2\x80\xae") ||
        ("\xe2\x81\xa6" <= mark && mark <= "\xe2\x81\xa9"))
      return true;
  }
  return false;
}

std::vector<std::string> read_labels(const std::string& path, int64_t classes) {
  std::ifstream file(path);
  if (!file) throw Failure(path + ": cannot be read; give a text file with one label per line");
  std::vector<std::string> labels;
  for (std::string line; std::getline(file, line);) {
    if (labels.empty() && line.rfind("\xef\xbb\xbf", 0) == 0) line.erase(0, 3);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    line.erase(0, line.find_first_not_of(' '));
    labels.push_back(line);
  }
  while (!labels.empty() && labels.back().empty()) labels.pop_back();
  for (size_t index = 0; index < labels.size(); ++index) {
    const std::string line = path + ": line " + std::to_string(index + 1);
    if (labels[index].empty()) throw Failure(line + " is empty; give one label per line");
    if (has_control_codes(labels[index]))
      throw Failure(line + " has control characters; give plain text in UTF-8");
  }
  const int64_t held = int64_t(labels.size());
  const std::string remedy = held == classes + 1
                                 ? "remove the background label, if there is one"
                                 : "give a file with one line per class";
  if (held != classes)
    throw Failure(path + ": has " + std::to_string(held) + " labels, but the model has " +
                  std::to_string(classes) + " classes; " + remedy);
  return labels;
}

// How the image was prepared, as tools/read_image.py wrote it beside the file; empty if unknown.
std::string preparation_of(const std::string& image) {
  std::ifstream file(image + ".preprocessing");
  std::string text;
  std::getline(file, text);
  return text;
}

// How a photo is prepared for a TorchScript file, as the file says; empty if it does not.
std::string preparation_for(const std::string& model) {
  try {
    caffe2::serialize::PyTorchStreamReader reader(model);
    if (!reader.hasRecord("extra/preprocessing")) return "";
    const auto [data, size] = reader.getRecord("extra/preprocessing");
    return std::string(static_cast<const char*>(data.get()), size);
  } catch (const std::exception&) {
    return "";  // another format, or a damaged file, which loading it reports
  }
}

// Throws Failure for an image that was prepared in another way than the model was exported for.
void require_fitting(const InferOptions& options, const at::Tensor& image) {
  const std::string wanted = preparation_for(options.model);
  const std::string given = preparation_of(options.input);
  if (wanted.empty()) {
    if (!given.empty())
      std::fprintf(stderr, "%s was prepared as '%s'; %s does not say what it takes\n",
                   options.input.c_str(), given.c_str(), options.model.c_str());
    return;
  }
  const std::string side = std::to_string(image.size(2));
  const std::string shape = "3x" + side + "x" + side;
  const bool fits = given.empty() ? wanted.rfind(shape + ";", 0) == 0 : given == wanted;
  if (!fits)
    throw Failure(options.input + ": was prepared as '" + (given.empty() ? shape : given) +
                  "', but the model takes '" + wanted +
                  "'; write it with tools/read_image.py --model NAME");
}

// Says so where all classes have nearly the same percentage.
void warn_if_flat(const at::Tensor& shares) {
  if (shares.size(0) < kFewestForNote) return;
  if (shares.max().item<double>() >= std::exp(1.0) * shares.min().item<double>()) return;
  std::fprintf(stderr, "%s\n",
               "all classes have nearly the same percentage, as after a softmax of a softmax or of "
               "a sigmoid: check the last layer of the model");
}

// Says so where the few outputs look like probabilities of their own.
void warn_if_independent(const at::Tensor& row) {
  const double least = row.min().item<double>(), most = row.max().item<double>();
  if (row.size(0) >= kFewestForNote || least < 0 || most > 1 || most == 0) return;
  if (std::abs(row.sum().item<double>() - 1) < kSumTolerance) return;
  std::fprintf(stderr, "%s\n",
               "all outputs are between 0 and 1 and do not sum to 1, as after a sigmoid for each "
               "label: what follows is their softmax");
}

// The probability of each class, from logits [1, classes] or from the output of a softmax.
at::Tensor probabilities(const at::Tensor& output) {
  if (output.dim() != 2 || output.size(0) != 1 || output.size(1) == 0)
    throw Failure("the model returns " + type_name(output) + " instead of [1, classes]");
  if (output.size(1) == 1)
    throw Failure("the model returns one number for an image, not one for each class");
  const at::Tensor row = output[0].to(at::kDouble);
  if (!row.isfinite().all().item<bool>())
    throw Failure("the model returns NaN or infinite values, which are not logits");
  const bool is_distribution = row.min().item<double>() >= 0 &&
                               std::abs(row.sum().item<double>() - 1) < kSumTolerance;
  return is_distribution ? row : row.softmax(-1);
}

}  // namespace

void infer(const InferOptions& options) {
  Session session;
  Settings settings;
  settings.device = options.device;
  settings.threads = options.threads;
  session.configure(settings);
  const at::Tensor image = read_image(options.input);
  require_fitting(options, image);
  session.load(options.model, /*as_graph=*/false, options.runtime);
  session.put({{"0", image}});
  session.run(1);
  const at::Tensor output = session.outputs()[0].tensor;
  const at::Tensor shares = probabilities(output);
  const int64_t classes = shares.size(0);
  std::vector<std::string> labels(classes);
  for (int64_t index = 0; index < classes; ++index) labels[index] = std::to_string(index);
  if (!options.labels.empty()) labels = read_labels(options.labels, classes);
  warn_if_independent(output[0].to(at::kDouble));
  warn_if_flat(shares);
  const auto [values, indices] = shares.topk(std::min(kMostShown, classes));
  for (int64_t place = 0; place < values.size(0); ++place)
    std::printf("%.2f%% %s\n", 100 * values[place].item<double>(),
                labels[indices[place].item<int64_t>()].c_str());
}

void bench(const BenchOptions& options) {
  Session session;
  Settings settings;
  settings.device = options.device;
  settings.threads = options.threads;
  const Settings in_force = session.configure(settings);
  session.load(options.model, /*as_graph=*/false, options.runtime);
  session.put({{"0", at::rand({options.batch_size, 3, options.size, options.size})}});
  session.run(options.warm_up);
  std::vector<double> samples = session.time(options.rounds);
  std::sort(samples.begin(), samples.end());
  const size_t middle = samples.size() / 2;
  const double median =
      samples.size() % 2 ? samples[middle] : (samples[middle - 1] + samples[middle]) / 2;
  const double mean = std::accumulate(samples.begin(), samples.end(), 0.0) / double(samples.size());
  std::printf("#head;%s\n", session.title().c_str());
  std::printf("%s: %s, %d threads, batch size %d\n", options.model.c_str(),
              in_force.device.c_str(), int(in_force.threads), options.batch_size);
  std::printf("median %.3f ms, mean %.3f, minimum %.3f, maximum %.3f, %d calls\n", median * 1e3,
              mean * 1e3, samples.front() * 1e3, samples.back() * 1e3, options.rounds);
  std::printf("#%s;%f\n", options.model.c_str(), median * 1e3);
}

}  // namespace runner
