// A plain loop that times a TorchScript file, independent of deploybench. validation/bias.py compares
// the suite's C++ column with it.
//
//   bare_loop FILE INPUT DEVICE THREADS SIZE BATCH
//
// INPUT is a file of raw float32, because the latency depends on the input. For each number read from
// a line of standard input, it makes that many calls and prints their median in seconds.

#include <ATen/Parallel.h>
#include <torch/cuda.h>
#include <torch/script.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 7) return 2;
  const c10::Device device(argv[3]);
  at::set_num_threads(std::stoi(argv[4]));
  const int64_t size = std::stoi(argv[5]), batch = std::stoi(argv[6]);
  torch::jit::Module module = torch::jit::load(argv[1], device);
  module.eval();
  const c10::InferenceMode guard;
  const at::Tensor image = at::empty({batch, 3, size, size});
  std::ifstream(argv[2], std::ios::binary).read(static_cast<char*>(image.data_ptr()), image.nbytes());
  const std::vector<c10::IValue> inputs{image.to(device)};
  for (int calls; std::cin >> calls;) {
    std::vector<double> seconds;
    for (int call = 0; call < calls; ++call) {
      if (device.is_cuda()) torch::cuda::synchronize();
      const auto start = std::chrono::steady_clock::now();
      module.forward(inputs);
      if (device.is_cuda()) torch::cuda::synchronize();
      const auto end = std::chrono::steady_clock::now();
      seconds.push_back(std::chrono::duration<double>(end - start).count());
    }
    std::sort(seconds.begin(), seconds.end());
    std::cout.precision(12);
    std::cout << seconds[seconds.size() / 2] << std::endl;
  }
}
