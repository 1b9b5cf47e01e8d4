// Captures calls in a CUDA graph; a failure leaves no capture open.
#pragma once

#include <exception>

#include "failure.h"

namespace runner {

// Captures in `graph` what `call` queues. Throws Fatal if that fails: the capture is then ended, but
// CUDA and torch's allocator may not have recovered from it.
template <typename Graph, typename Call>
void capture_into(Graph& graph, Call call) {
  try {
    graph.capture_begin();
    try {
      call();
    } catch (...) {
      const auto cause = std::current_exception();
      try {
        graph.capture_end();
      } catch (...) {  // this error says only that the capture is invalid
      }
      std::rethrow_exception(cause);
    }
    graph.capture_end();
  } catch (...) {
    throw Fatal("the model cannot be captured in a CUDA graph: " + current_error());
  }
}

}  // namespace runner
