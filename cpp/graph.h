// A CUDA graph, by the one class of LibTorch for it that needs none of CUDA's own headers.
#pragma once

#if __has_include(<ATen/accelerator/Graph.h>)
#include <ATen/accelerator/Graph.h>

namespace runner {

constexpr bool kHasGraphs = true;
using Graph = at::accelerator::Graph;

}  // namespace runner

#else

namespace runner {

constexpr bool kHasGraphs = false;

// Never made where kHasGraphs is false.
struct Graph {
  void capture_begin() {}
  void capture_end() {}
  void replay() {}
};

}  // namespace runner

#endif
