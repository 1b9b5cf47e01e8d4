// The mode that the suite drives: one process for a whole run.
//
// The line protocol, version 3. A request is a line of fields, separated by tabs, the first of which
// is the verb. Each request gets one line in reply: `ok` and its fields, or `error` and one line of
// text, after which the process serves on. Paths hold no tab and no newline. Tensors cross as files
// of raw little-endian values, never as text, and so do the samples, as float64 seconds.
//
//   hello                       ok  protocol=3  torch=VERSION  graphs=FLAG  pid=N
//   configure  NAME=VALUE ...   ok  NAME=VALUE ...     what is in force afterwards, every field
//   load  FILE  HOW             ok                     a program, onto the device
//   memory                      ok  BYTES              the most on the device since `load`
//   put  FILE  DTYPE  N,C,H,W   ok                     the input of the calls that follow
//   run  COUNT                  ok                     untimed calls
//   time  COUNT  WHAT  FILE     ok                     timed calls; their samples go to FILE
//   queue  COUNT  WHAT  FILE    ok                     back to back; one sample of all of them
//   events  COUNT  FILE         ok                     timed by CUDA events; for CUDA alone
//   output  FILE                ok  DTYPE  N,CLASSES   the output of the latest call goes to FILE
//   unload                      ok                     forgets the model
//   quit                        ok                     and ends, as it does at the end of input
//
// The fields of `configure` are those of deploybench/settings.py; flags are 0 or 1. WHAT is `calls`,
// or `copies` for calls that take their input from the host and bring their output back there. HOW
// is `plain`, or `graph` for a program that the first call is to capture in a CUDA graph.

#include "serve.h"

#include <unistd.h>

#include <fstream>
#include <iostream>
#include <map>
#include <sstream>

#include "failure.h"
#include "graph.h"
#include "session.h"
#include "tensors.h"

namespace runner {

namespace {

using Fields = std::vector<std::string>;

Fields split(const std::string& text, char separator) {
  Fields fields;
  std::istringstream stream(text);
  for (std::string field; std::getline(stream, field, separator);) fields.push_back(field);
  return fields;
}

int whole_number(const std::string& text) {
  try {
    size_t used = 0;
    const int number = std::stoi(text, &used);
    if (used == text.size() && number >= 0) return number;
  } catch (const std::exception&) {
  }
  throw Failure("'" + text + "' is no whole number");
}

Settings read_settings(const Fields& fields) {
  std::map<std::string, std::string> given;
  for (size_t index = 1; index < fields.size(); ++index) {
    const auto equals = fields[index].find('=');
    if (equals == std::string::npos) throw Failure("'" + fields[index] + "' is not NAME=VALUE");
    given[fields[index].substr(0, equals)] = fields[index].substr(equals + 1);
  }
  const auto take = [&](const char* name) {
    const auto found = given.find(name);
    if (found == given.end()) throw Failure(std::string("configure lacks ") + name);
    const std::string value = found->second;
    given.erase(found);
    return value;
  };
  Settings settings;
  settings.device = take("device");
  settings.threads = whole_number(take("threads"));
  settings.interop_threads = whole_number(take("interop_threads"));
  settings.grad_mode = take("grad_mode");
  settings.cudnn_tf32 = take("cudnn_tf32") == "1";
  settings.matmul_precision = take("matmul_precision");
  settings.cudnn_benchmark = take("cudnn_benchmark") == "1";
  settings.cudnn_deterministic = take("cudnn_deterministic") == "1";
  settings.dtype = take("dtype");
  settings.channels_last = take("channels_last") == "1";
  settings.allocator = take("allocator");
  if (!given.empty()) throw Failure("unknown setting '" + given.begin()->first + "'");
  return settings;
}

std::string write_settings(const Settings& settings) {
  std::ostringstream reply;
  reply << "\tdevice=" << settings.device << "\tthreads=" << settings.threads
        << "\tinterop_threads=" << settings.interop_threads
        << "\tgrad_mode=" << settings.grad_mode << "\tcudnn_tf32=" << settings.cudnn_tf32
        << "\tmatmul_precision=" << settings.matmul_precision
        << "\tcudnn_benchmark=" << settings.cudnn_benchmark
        << "\tcudnn_deterministic=" << settings.cudnn_deterministic
        << "\tdtype=" << settings.dtype << "\tchannels_last=" << settings.channels_last
        << "\tallocator=" << settings.allocator;
  return reply.str();
}

// Whether `given` is the second of the two words that it may be.
bool one_of(const std::string& given, const std::string& first, const std::string& second) {
  if (given != first && given != second)
    throw Failure("'" + given + "' is neither " + first + " nor " + second);
  return given == second;
}

bool with_copies(const std::string& what) { return one_of(what, "calls", "copies"); }

void write_samples(const std::string& path, const std::vector<double>& samples) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(samples.data()),
             std::streamsize(samples.size() * sizeof(double)));
  file.close();
  if (!file) throw Failure(path + ": cannot be written");
}

// The fields of the reply to a request, after `ok`, each with a tab before it.
std::string answer(Session& session, const Fields& fields) {
  const std::string verb = fields.empty() ? "" : fields[0];
  const auto argument = [&](size_t index) -> const std::string& {
    if (index >= fields.size()) throw Failure("'" + verb + "' lacks an argument");
    return fields[index];
  };
  if (verb == "hello")
    return std::string("\tprotocol=3\ttorch=")
        .append(torch_version())
        .append("\tgraphs=")
        .append(std::to_string(kHasGraphs))
        .append("\tpid=")
        .append(std::to_string(getpid()));
  if (verb == "configure") return write_settings(session.configure(read_settings(fields)));
  if (verb == "load") {
    session.load(argument(1), one_of(argument(2), "plain", "graph"));
  } else if (verb == "memory") {
    return std::string("\t").append(std::to_string(session.peak_device_bytes()));
  } else if (verb == "put") {
    std::vector<int64_t> shape;
    for (const auto& side : split(argument(3), ',')) shape.push_back(whole_number(side));
    session.put(read_tensor(argument(1), argument(2), shape));
  } else if (verb == "run") {
    session.run(whole_number(argument(1)));
  } else if (verb == "time") {
    write_samples(argument(3), session.time(whole_number(argument(1)), with_copies(argument(2))));
  } else if (verb == "queue") {
    const double seconds = session.queue(whole_number(argument(1)), with_copies(argument(2)));
    write_samples(argument(3), {seconds});
  } else if (verb == "events") {
    write_samples(argument(2), session.time_by_events(whole_number(argument(1))));
  } else if (verb == "output") {
    const at::Tensor output = session.output();
    write_tensor(argument(1), output);
    std::ostringstream shape;
    for (int64_t index = 0; index < output.dim(); ++index)
      shape << (index ? "," : "") << output.size(index);
    return "\t" + dtype_name(output) + "\t" + shape.str();
  } else if (verb == "unload") {
    session.unload();
  } else if (verb != "quit") {
    throw Failure("unknown verb '" + verb + "'");
  }
  return "";
}

}  // namespace

int serve() {
  Session session;
  for (std::string line; std::getline(std::cin, line);) {
    std::string reply;
    try {
      reply = "ok" + answer(session, split(line, '\t'));
    } catch (const std::exception&) {
      reply = "error\t" + current_error();
    }
    std::cout << reply << std::endl;
    if (line == "quit") break;
  }
  return 0;
}

}  // namespace runner
