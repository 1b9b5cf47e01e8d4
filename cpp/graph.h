// A CUDA graph. LibTorch's class for it needs CUDA's headers, which CMakeLists.txt looks for. Without
// headers of torch's version there are no graphs.
#pragma once

#ifdef CUDA_HEADERS
#include <ATen/cuda/CUDAGraph.h>

namespace runner {

constexpr bool kHasGraphs = true;
using Graph = at::cuda::CUDAGraph;

}  // namespace runner

#else

namespace runner {

constexpr bool kHasGraphs = false;

// Never created if kHasGraphs is false.
struct Graph {
  void capture_begin() {}
  void capture_end() {}
  void replay() {}
};

}  // namespace runner

#endif
