// The commands for users: what the article's two C++ programs do, with a reliable clock.
#pragma once

#include <string>

#include "program.h"

namespace runner {

struct InferOptions {
  std::string model;
  std::string input;
  std::string labels;  // a file with one label per line; empty to print class numbers
  std::string device = "cpu";
  std::string runtime = kDefaultRuntime;  // of an ONNX file
  int threads = 0;  // 0: torch's default
};

// Prints the five most likely classes of one image, or all if there are fewer, each as a percentage
// and a label. Throws Failure if the number of labels is not the number of classes, for labels that
// are no text, for outputs that are no numbers, and for an image that was prepared for another model.
void infer(const InferOptions& options);

struct BenchOptions {
  std::string model;
  std::string device = "cpu";
  std::string runtime = kDefaultRuntime;
  int threads = 0;
  int rounds = 100;
  int warm_up = 10;
  int size = 224;
  int batch_size = 1;
};

// Prints the latency of a model on random input, in lines that tools/merge_perf.py can read.
void bench(const BenchOptions& options);

}  // namespace runner
