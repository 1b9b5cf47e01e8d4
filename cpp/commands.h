// The commands for people: what the article's two C++ programs do, with clocks that can be trusted.
#pragma once

#include <string>

namespace runner {

struct InferOptions {
  std::string model;
  std::string input;
  std::string labels;  // a file with a label a line; empty: class numbers are printed
  std::string device = "cpu";
  int threads = 0;  // 0: what torch takes
};

// Prints the five likeliest classes of one image, or all where there are fewer, each as a percentage
// and a label. Throws Failure for labels that are not as many as the classes.
void infer(const InferOptions& options);

struct BenchOptions {
  std::string model;
  std::string device = "cpu";
  int threads = 0;
  int rounds = 100;
  int warm_up = 10;
  int size = 224;
  int batch_size = 1;
};

// Prints the latency of a model on random input, in lines that tools/merge_perf.py reads as well.
void bench(const BenchOptions& options);

}  // namespace runner
